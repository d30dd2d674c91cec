// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging
internal import SystemPackage

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// A failure to be reported: the error, the beginning of runc's message, and the exit status.
struct Failure: Error {
    let error: ContainerError
    /// The text before the message in the log and for engines, such as `exec failed: `.
    let lead: String
    let status: Int32
    /// If not nil, this line replaces all others on standard error.
    private let line: String?

    init(_ error: ContainerError, lead: String = "", status: Int32 = 1, line: String? = nil) {
        self.error = error
        self.lead = lead
        self.status = status
        self.line = line
    }

    /// A failure of a command whose flags and operands were valid.
    init(_ error: ContainerError, of command: Command, program: String) {
        switch command.failureText {
        case .plain: self.init(error)
        case .create, .run:
            let lead = "\(program) \(command.name) failed: " + Self.context(of: error)
            // In runc this error comes from its init, which has no log any more, so it prints only
            // the error.
            let isRefused =
                error.code == .executableNotFound && error.field == "process.args"
            let isBare = command.failureText == .run && isRefused
            self.init(error, lead: lead, line: isBare ? Self.bareLines(error) : nil)
        case .exec:
            self.init(error, lead: "exec failed: " + Self.start(of: error), status: 255)
        }
    }

    /// The message, with details on a separate line: the first line must equal runc's byte for
    /// byte.
    private static func bareLines(_ error: ContainerError) -> String {
        error.detail.map { "\(error.message)\n(\($0))" } ?? error.message
    }

    /// How far the start had come, in the words of runc, which people search for.
    private static func context(of error: ContainerError) -> String {
        if error.code == .cgroup, error.field == "linux.cgroupsPath" {
            return processStart + "unable to apply cgroup configuration: "
        }
        let isMount = error.field?.hasPrefix("mounts[") ?? false
        let start = isMount ? processStart : start(of: error)
        guard !start.isEmpty else { return "" }
        return start + "error during container init: " + (isMount ? "error mounting: " : "")
    }

    private static func start(of error: ContainerError) -> String {
        switch error.code {
        case .initFailed, .executableNotFound: processStart
        default: ""
        }
    }

    private static let processStart = "unable to start container process: "

    /// A command line that is not valid; `help` is the command that explains it.
    init(_ error: UsageError, helpOf help: String, lead: String = "") {
        self.init(
            ContainerError(.invalidArgument, error.message, hint: "see \(help)"), lead: lead)
    }

    /// A known flag that is not supported yet, and therefore is refused.
    init(unsupported flag: String) {
        self.init(
            ContainerError(
                .unsupported, "\(flag) is not implemented yet", hint: "leave it out"))
    }

    /// Writes the failure to the log, and to standard error if that is not the log.
    ///
    /// A person at a terminal gets the message without runc's prefix, and the hint on a separate
    /// line. If `run` could not execute the program, the message is that of runc's init.
    func tell(program: String, command: Command?, to outlet: LogOutlet) {
        let isTerminal = isatty(FileDescriptor.standardError.rawValue) == 1
        if outlet.isFile || !isTerminal && line == nil {
            outlet.write(record(time: Timestamp.now.wholeSeconds))
        }
        let text: String
        if isTerminal {
            text = personText(program: program, command: command)
        } else if let line {
            text = Printable.text(line, keepingLines: true) + "\n"
        } else if outlet.isFile {
            text = Printable.text(lead + error.description, keepingLines: true) + "\n"
        } else {
            return
        }
        _ = try? FileDescriptor.standardError.writeAll(text.utf8)
    }

    /// The message and the hint for a person.
    func personText(program: String, command: Command?) -> String {
        let caller = command.map { "\(program) \($0.name)" } ?? program
        let hint = error.hint.map { "hint: \(Printable.text($0))\n" } ?? ""
        return Printable.text("\(caller): \(error.description)") + "\n" + hint
    }

    /// The record for the log.
    func record(time: String) -> LogRecord {
        var fields: [(key: String, value: JSONValue)] = [("code", .string(error.code.description))]
        if let field = error.field { fields.append(("field", .string(field))) }
        if let subject = error.subject { fields.append(("subject", .string(subject))) }
        if let failure = error.failure {
            fields.append(("call", .string("\(failure.call)(\(failure.arguments))")))
            fields.append(("errno", .integer(Int64(failure.errno.rawValue))))
        }
        if let hint = error.hint { fields.append(("hint", .string(hint))) }
        return LogRecord(
            level: .error, message: "\(lead)\(error.description)", time: time, fields: fields)
    }
}
