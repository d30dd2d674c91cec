// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// newuidmap(1) or newgidmap(1): programs that may map an ordinary user's ranges.
struct IDMapTool {
    /// The name of the program.
    let name: String
    /// The file that lists the ranges of each user.
    let ranges: String
    /// The field of the maps.
    let field: String?

    init(_ name: String, _ ranges: String, _ field: String?) {
        self.name = name
        self.ranges = ranges
        self.field = field
    }

    /// Maps the IDs of a child's user namespace.
    func run(_ pid: Int32, _ maps: [IDRange]) throws(ContainerError) {
        guard let path = HostProgram.find(name) else {
            throw ContainerError(
                .systemCall, "\(name) is not installed, and maps more than the user's own id",
                field: field,
                hint: "install the package uidmap (shadow-utils), or map the user's own id alone")
        }
        var words = [name, "\(pid)"]
        for map in maps { words += ["\(map.inside)", "\(map.outside)", "\(map.count)"] }
        let outlets = HookOutlets(annotations: [:])
        let streams = try reporting(field: field) { () throws(SystemCallError) in
            try HookStreams([], outlets)
        }
        let program = HostProgram(
            path: path, arguments: words.map { ByteText($0) }, environment: [])
        let outcome = try reporting("unable to run \(name)", field: field) {
            () throws(SystemCallError) in
            try program.run(streams, timeoutSeconds: 30)
        }
        guard let problem = problem(outcome) else { return }
        let said = streams.errorText.split(separator: "\n").joined(separator: "; ")
        throw ContainerError(
            .systemCall,
            "unable to map ids: \(name): \(problem)" + (said.isEmpty ? "" : ": \(said)"),
            field: field,
            hint: "the ranges must be the user's own in \(ranges) (usermod --add-subuids, "
                + "--add-subgids), and \(name) setuid root")
    }

    private func problem(_ outcome: HostProgram.Outcome) -> String? {
        switch outcome {
        case .ended(let status): status.failureWords
        case .tooSlow: "no end after 30 seconds"
        case .lostInit: "init ended meanwhile"
        case .lostStatus: "its exit status is lost (\(HostProgram.lostStatusHint))"
        case .tooLarge(let fault): "\(fault)"
        }
    }
}
#endif
