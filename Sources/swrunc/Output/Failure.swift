// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Glibc
internal import Logging
internal import SystemPackage

/// A failure on its way out: the error, how runc begins its message, and the exit status.
struct Failure: Error {
    let error: ContainerError
    /// What precedes the message in the log and where engines read, such as `exec failed: `.
    let lead: String
    let status: Int32
    /// The one line in place of all others on standard error, if the failure is told so.
    private let line: String?

    init(_ error: ContainerError, lead: String = "", status: Int32 = 1, line: String? = nil) {
        self.error = error
        self.lead = lead
        self.status = status
        self.line = line
    }

    /// The failure of a command that was understood.
    init(_ error: ContainerError, of command: Command, program: String) {
        switch command.failureText {
        case .plain: self.init(error)
        case .create, .run:
            let lead = "\(program) \(command.name) failed: " + Self.context(of: error)
            // When runc executes the program, its init has no log any more, and tells this itself.
            let isRefused =
                error.code == .executableNotFound && error.field == "process.args"
            let isBare = command.failureText == .run && isRefused
            self.init(error, lead: lead, line: isBare ? Self.bareLines(error) : nil)
        case .exec:
            self.init(error, lead: "exec failed: " + Self.start(of: error), status: 255)
        }
    }

    /// What is known of the reason gets a line of its own: the first is runc's to the last byte.
    private static func bareLines(_ error: ContainerError) -> String {
        error.detail.map { "\(error.message)\n(\($0))" } ?? error.message
    }

    /// How far the container was, in the words that people search for, which are runc's.
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

    /// Words that were not understood; `help` is the call that explains them.
    init(_ error: UsageError, helpOf help: String, lead: String = "") {
        self.init(
            ContainerError(.invalidArgument, error.message, hint: "see \(help)"), lead: lead)
    }

    /// A flag of the contract that is not acted on, and so must not be taken.
    init(unsupported flag: String) {
        self.init(
            ContainerError(
                .unsupported, "\(flag) is not implemented yet", hint: "leave it out"))
    }

    /// Tells the log, and standard error if that is not the log.
    ///
    /// A person at a terminal gets the message without the engines' wrapping, and the hint on a
    /// line of its own. A program that `run` could not execute is told as runc's init tells it.
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

    /// The two lines for a person.
    func personText(program: String, command: Command?) -> String {
        let caller = command.map { "\(program) \($0.name)" } ?? program
        let hint = error.hint.map { "hint: \(Printable.text($0))\n" } ?? ""
        return Printable.text("\(caller): \(error.description)") + "\n" + hint
    }

    /// The entry for the log.
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
