// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

/// What reports on configs ask of the host; nothing is changed, and nothing waits.
package enum HostLook {
    /// What a path leads to, as far as a report needs to know.
    package enum Target: Sendable {
        case directory
        case program
        case otherFile
    }

    /// What is at a path, following links; nil if there is nothing that this process can see.
    package static func target(of path: String) -> Target? {
        guard let status = try? status(at: path) else { return nil }
        switch status.kind {
        case .directory: return .directory
        case .regular where status.isExecutable: return .program
        default: return .otherFile
        }
    }

    /// The text of a file of procfs or sysfs; nil if it cannot be read.
    package static func text(of path: String) -> String? {
        guard let bytes = try? readFile(path, limitBytes: 1 << 20) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The program of a name in PATH.
    package static func program(named name: String) -> String? { HostProgram.find(name) }

    /// Whether AppArmor is enabled.
    package static var hasAppArmor: Bool { SecurityModules.hasAppArmor }

    /// The effective user ID of this process.
    package static var userID: UInt32 { effectiveUserID }

    /// Reads a file that a person has named; only regular files, since all others may never end.
    ///
    /// - Throws: `invalidArgument` for what is no file, `systemCall` if it cannot be read or has more
    ///   than 16 MiB.
    package static func config(at path: String) throws(ContainerError) -> [UInt8] {
        try reporting("unable to read the config") { () throws(SystemCallError) in
            _ = try status(at: path)
        }
        // Not opened before it is known what it is: opening alone may have effects on a device.
        try checkRegular((try? status(at: path))?.kind, path)
        do throws(SystemCallError) {
            let file = try openFile(path, .readOnly | .nonBlocking | .noTerminal)
            let kind = try status(of: file.number).kind
            guard kind == .regular else {
                throw SystemCallError("open", "\"\(path)\"", errno: .invalidArgument)
            }
            return try readFile(file.number, named: path)
        } catch {
            throw ContainerError(
                .systemCall, "unable to read the config", failure: error,
                hint: error.errno == .fileTooLarge ? "a config has some kilobytes" : nil)
        }
    }

    private static func checkRegular(_ kind: FileKind?, _ path: String) throws(ContainerError) {
        let noun: String
        switch kind {
        case .regular: return
        case .directory:
            throw ContainerError(
                .invalidArgument, "\(path.debugDescription) is a directory, not a config",
                hint: "--bundle \(path) reads the config.json in it")
        case .fifo: noun = "a pipe"
        case .socket: noun = "a socket"
        default: noun = "a device"
        }
        throw ContainerError(
            .invalidArgument, "\(path.debugDescription) is \(noun), not a file",
            hint: "give - and let it be the standard input")
    }
}
#endif
