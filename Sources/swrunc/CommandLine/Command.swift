// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

/// One command: what it does, and the table for its parsing and its help.
struct Command: Sendable {
    /// The beginning of a failure's message in runc, which engines show and search.
    enum FailureText: Sendable {
        /// The message alone.
        case plain
        /// `NAME create failed: ...`, where NAME is the name by which swrunc was called.
        case create
        /// `NAME run failed: ...`; if the program cannot be executed, the message of runc's init.
        case run
        /// `exec failed: ...`, with status 255 to distinguish it from a status of the program.
        case exec
    }

    let name: String
    /// One line for the list of commands.
    let summary: String
    /// The operands as the usage line shows them.
    var operands = ""
    /// The allowed number of operands.
    var operandCount = 1...1
    /// More text for the help; paragraphs are not indented.
    var details = ""
    var flags: [Flag] = []
    /// Whether flags after the first operand belong to a program, not to the command.
    var stopsAtOperand = false
    /// Whether debug messages stay off standard error, because clients read both streams from one
    /// pipe.
    var isQuery = false
    var failureText = FailureText.plain
    /// The status of every failure, if it is not that of the message; 2 where 1 is an answer.
    var failureStatus: Int32?
    /// Runs the command and returns its exit status.
    let perform: @Sendable (Invocation) throws(ContainerError) -> Int32

    /// The container that most commands act on.
    static let containerOperand = "<container-id>"
    /// Any number of containers; none means all.
    static let containersOperand = "[container-id...]"

    /// The command with that name.
    static func named(_ name: String) -> Command? {
        // Not init(rawValue:), which would build a dictionary of all names for this single lookup.
        Name.allCases.first { $0.rawValue == name }?.command
    }

    /// All commands, in the order of the help.
    enum Name: String, CaseIterable {
        case audit, checkpoint, completion, create, delete, devices, doctor, events, exec, explain
        case features
        case kill, list, manual, metrics, mounts, pause, ps, restore, resume, run, spec, start,
            state
        case top, update, validate

        var command: Command {
            switch self {
            case .audit: .audit
            case .checkpoint: .checkpoint
            case .completion: .completion
            case .create: .create
            case .delete: .delete
            case .devices: .devices
            case .doctor: .doctor
            case .events: .events
            case .exec: .exec
            case .explain: .explain
            case .features: .features
            case .kill: .kill
            case .list: .list
            case .manual: .manual
            case .metrics: .metrics
            case .mounts: .mounts
            case .pause: .pause
            case .ps: .ps
            case .restore: .restore
            case .resume: .resume
            case .run: .run
            case .spec: .spec
            case .start: .start
            case .state: .state
            case .top: .top
            case .update: .update
            case .validate: .validate
            }
        }
    }

    /// Parses the command's words.
    func parse(_ words: some Collection<ByteText>) throws(UsageError) -> Arguments {
        try Arguments(
            parsing: words, flags: flags + [.help], stoppingAtOperand: stopsAtOperand)
    }

    /// runc's message for a wrong number of operands; nil if the number is right.
    func complaint(aboutOperandCount count: Int) -> String? {
        if operandCount.contains(count) { return nil }
        let quoted = name.debugDescription
        if operandCount.lowerBound == operandCount.upperBound {
            return "\(quoted) requires exactly \(operandCount.lowerBound) argument(s)"
        }
        return count < operandCount.lowerBound
            ? "\(quoted) requires a minimum of \(operandCount.lowerBound) argument(s)"
            : "\(quoted) requires a maximum of \(operandCount.upperBound) argument(s)"
    }
}
