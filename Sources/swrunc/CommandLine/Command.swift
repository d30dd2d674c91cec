// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

/// One command: the table that its parsing and its help are made from, and what it does.
struct Command: Sendable {
    /// How runc begins the message of a failure, which engines show and search.
    enum FailureText: Sendable {
        /// The message alone.
        case plain
        /// `NAME create failed: ...`, with the name swrunc was called by.
        case create
        /// `NAME run failed: ...`; a program that cannot be executed is told as its init would.
        case run
        /// `exec failed: ...`, and 255 as the status, to tell it from that of the program run.
        case exec
    }

    let name: String
    /// One line for the list of commands.
    let summary: String
    /// The operands as the usage line shows them.
    var operands = ""
    /// How many operands there may be.
    var operandCount = 1...1
    /// What else the help says; paragraphs without indentation.
    var details = ""
    var flags: [Flag] = []
    /// Whether flags after the first operand belong to a program, not to the command.
    var stopsAtOperand = false
    /// Whether its answer is all that it prints: clients read both streams in one pipe.
    var isQuery = false
    var failureText = FailureText.plain
    /// Does what the command is for; gives the exit status.
    let perform: @Sendable (Invocation) throws(ContainerError) -> Int32

    /// The container that most commands act on.
    static let containerOperand = "<container-id>"

    /// The command of that name.
    static func named(_ name: String) -> Command? {
        // Not init(rawValue:), which would build a dictionary of the names for this one look-up.
        Name.allCases.first { $0.rawValue == name }?.command
    }

    /// Every command, in the order of the help.
    enum Name: String, CaseIterable {
        case checkpoint, completion, create, delete, events, exec, explain, features, kill, list
        case manual, pause, ps, restore, resume, run, spec, start, state, update

        var command: Command {
            switch self {
            case .checkpoint: .checkpoint
            case .completion: .completion
            case .create: .create
            case .delete: .delete
            case .events: .events
            case .exec: .exec
            case .explain: .explain
            case .features: .features
            case .kill: .kill
            case .list: .list
            case .manual: .manual
            case .pause: .pause
            case .ps: .ps
            case .restore: .restore
            case .resume: .resume
            case .run: .run
            case .spec: .spec
            case .start: .start
            case .state: .state
            case .update: .update
            }
        }
    }

    /// Reads the command's words.
    func parse(_ words: some Collection<ByteText>) throws(UsageError) -> Arguments {
        try Arguments(
            parsing: words, flags: flags + [.help], stoppingAtOperand: stopsAtOperand)
    }

    /// The complaint about a wrong number of operands, as runc words it; nil if there is none.
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
