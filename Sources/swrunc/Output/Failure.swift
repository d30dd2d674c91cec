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

    init(_ error: ContainerError, lead: String = "", status: Int32 = 1) {
        self.error = error
        self.lead = lead
        self.status = status
    }

    /// The failure of a command that was understood.
    init(_ error: ContainerError, of command: Command, program: String) {
        switch command.failureText {
        case .plain: self.init(error)
        case .named: self.init(error, lead: "\(program) \(command.name) failed: ")
        case .exec: self.init(error, lead: "exec failed: ", status: 255)
        }
    }

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
    /// line of its own.
    func tell(program: String, command: Command?, to outlet: LogOutlet) {
        let isTerminal = isatty(FileDescriptor.standardError.rawValue) == 1
        if outlet.isFile || !isTerminal { outlet.write(record(time: Timestamp.now.wholeSeconds)) }
        let text: String
        if isTerminal {
            text = personText(program: program, command: command)
        } else if outlet.isFile {
            text = "\(lead)\(error.description)\n"
        } else {
            return
        }
        _ = try? FileDescriptor.standardError.writeAll(text.utf8)
    }

    /// The two lines for a person.
    func personText(program: String, command: Command?) -> String {
        let caller = command.map { "\(program) \($0.name)" } ?? program
        let hint = error.hint.map { "hint: \($0)\n" } ?? ""
        return "\(caller): \(error.description)\n\(hint)"
    }

    /// The entry for the log.
    func record(time: String) -> LogRecord {
        var fields: [(key: String, value: JSONValue)] = [("code", .string(error.code.description))]
        if let field = error.field { fields.append(("field", .string(field))) }
        if let failure = error.failure {
            fields.append(("call", .string("\(failure.call)(\(failure.arguments))")))
            fields.append(("errno", .integer(Int64(failure.errno.rawValue))))
        }
        if let hint = error.hint { fields.append(("hint", .string(hint))) }
        return LogRecord(
            level: .error, message: "\(lead)\(error.description)", time: time, fields: fields)
    }
}
