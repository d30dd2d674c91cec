// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import SystemPackage

/// Reads the control files of a cgroup.
///
/// A value that the kernel or the cgroup lacks is nil: kernels differ in their files, and a cgroup
/// may be removed while it is read.
struct ControlFiles {
    let layout: CgroupLayout

    /// Whether cgroup v2 limits resources.
    var isUnified: Bool { layout.isUnified }

    /// The contents of a file of `controller`.
    ///
    /// On v2 an empty controller name means files that every cgroup has.
    func text(_ controller: String, _ file: String) throws(CgroupError) -> [UInt8]? {
        try text(controller, file) { (path) throws(SystemCallError) in try readFile(path) }
    }

    /// The contents of a file as `read` returns them from its path.
    func text(
        _ controller: String, _ file: String,
        by read: (_ path: String) throws(SystemCallError) -> [UInt8]
    ) throws(CgroupError) -> [UInt8]? {
        let index = controller.isEmpty ? layout.unifiedIndex : layout.index(of: controller)
        guard let index else { return nil }
        do throws(SystemCallError) {
            return try read("\(layout.directories[index].path)/\(file)")
        } catch  where Self.isMissing(error.errno) {
            return nil
        } catch {
            throw CgroupError(
                failure: layout.named(error), message: "unable to read the cgroup")
        }
    }

    /// Whether a file has no value: EOPNOTSUPP if pressure files are turned off, ENODEV if the
    /// cgroup is being removed.
    private static func isMissing(_ errno: Errno) -> Bool {
        errno == .noSuchFileOrDirectory || errno == .operationNotSupportedByDevice
            || errno == .notSupported
    }

    /// The number in a file; `max` becomes the highest number.
    func number(_ controller: String, _ file: String) throws(CgroupError) -> UInt64? {
        guard let word = try text(controller, file).flatMap({ words(of: $0).first }) else {
            return nil
        }
        return word == "max" ? .max : UInt64(word)
    }

    /// The lines of a file such as `memory.stat`: a name and a number each.
    func numbers(_ controller: String, _ file: String) throws(CgroupError)
        -> [(name: String, value: UInt64)]
    {
        try lines(controller, file).compactMap { words in
            guard words.count == 2, let value = UInt64(words[1]) else { return nil }
            return (words[0], value)
        }
    }

    /// The lines of a file, split into words; those without a word are left out.
    func lines(_ controller: String, _ file: String) throws(CgroupError) -> [[String]] {
        guard let text = try text(controller, file) else { return [] }
        return text.split(separator: UInt8(ascii: "\n")).map { words(of: Array($0)) }
            .filter { !$0.isEmpty }
    }

    /// A pressure file of v2: two lines such as `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
    func pressure(_ file: String) throws(CgroupError) -> Statistics.Pressure? {
        let lines = try lines("", file)
        guard !lines.isEmpty else { return nil }
        var pressure = Statistics.Pressure()
        for words in lines {
            let share = Self.share(words.dropFirst())
            if words[0] == "some" { pressure.some = share }
            if words[0] == "full" { pressure.full = share }
        }
        return pressure
    }

    private static func share(_ words: ArraySlice<String>) -> Statistics.Pressure.Share {
        var share = Statistics.Pressure.Share()
        for word in words {
            let parts = word.split(separator: "=")
            guard parts.count == 2 else { continue }
            switch parts[0] {
            case "avg10": share.average10 = Double(parts[1]) ?? 0
            case "avg60": share.average60 = Double(parts[1]) ?? 0
            case "avg300": share.average300 = Double(parts[1]) ?? 0
            case "total": share.totalMicroseconds = UInt64(parts[1]) ?? 0
            default: break
            }
        }
        return share
    }
}

extension Array where Element == (name: String, value: UInt64) {
    /// The number with this name, or 0.
    subscript(name: String) -> UInt64 { first { $0.name == name }?.value ?? 0 }
}

extension Cgroup {
    /// The resource usage of the cgroup, as far as the kernel counts it.
    func statistics() throws(CgroupError) -> Statistics {
        let files = ControlFiles(layout: layout)
        var statistics = Statistics()
        try CPUController.read(files, into: &statistics)
        try CPUSetController.read(files, into: &statistics)
        try MemoryController.read(files, into: &statistics)
        try PidsController.read(files, into: &statistics)
        try BlockIOController.read(files, into: &statistics)
        try HugepageController.read(files, into: &statistics)
        try RdmaController.read(files, into: &statistics)
        return statistics
    }
}
#endif
