// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging
internal import SystemPackage

/// One call of the binary, from its command line to its exit status.
struct Session {
    /// The name by which the binary was called; a link named runc makes it answer as runc.
    private let program: String
    private var outlet = LogOutlet.standardError(.text)
    private var command: Command?

    /// Runs the command line, reports a failure, and returns the exit status.
    static func run(_ words: [ByteText]) -> Int32 {
        StandardStreams.fillGaps()
        CallerSettings.takeSignals()
        var session = Session(program: name(calledBy: words.first?.description ?? ""))
        do throws(Failure) {
            return try session.perform(words.dropFirst())
        } catch {
            error.tell(program: session.program, command: session.command, to: session.outlet)
            return session.command?.failureStatus ?? error.status
        }
    }

    private init(program: String) {
        self.program = program
    }

    /// The last component of a path.
    private static func name(calledBy path: String) -> String {
        let last = path.utf8.split(separator: UInt8(ascii: "/")).last
        return last.map { String(Substring($0)) } ?? "swrunc"
    }

    private mutating func perform(_ words: ArraySlice<ByteText>) throws(Failure) -> Int32 {
        let globals: Arguments
        do {
            globals = try Arguments(parsing: words, flags: GlobalFlags.all, stoppingAtOperand: true)
        } catch {
            throw Failure(error, helpOf: "\(program) --help")
        }
        if globals.has(.help) { return try print(HelpText.of(program: program)) }
        if globals.has(GlobalFlags.version) { return try print(VersionText.of(program: program)) }
        guard let name = globals.operands.first else {
            return try print(HelpText.of(program: program))
        }
        if name == "help" || name == "h" {
            guard let topic = globals.operands.dropFirst().first else {
                return try print(HelpText.of(program: program))
            }
            return try print(HelpText.of(find(topic), program: program))
        }
        return try perform(globals)
    }

    private mutating func perform(_ globals: Arguments) throws(Failure) -> Int32 {
        command = Command.named(globals.operands[0])
        let callerLimits = CallerSettings.raiseLimits()
        try openLog(globals)
        if let shortage = CallerSettings.stackShortage() { throw Failure(shortage) }
        let command = try find(globals.operands[0])
        if let flag = globals.unsupported { throw Failure(unsupported: flag) }

        let arguments: Arguments
        do {
            arguments = try command.parse(globals.words.dropFirst())
        } catch {
            throw Failure(error, helpOf: "\(program) \(command.name) --help")
        }
        if arguments.has(.help) { return try print(HelpText.of(command, program: program)) }
        if let flag = arguments.unsupported { throw Failure(unsupported: flag) }
        if let complaint = command.complaint(aboutOperandCount: arguments.operands.count) {
            throw Failure(
                UsageError(complaint), helpOf: "\(program) \(command.name) --help",
                lead: "\(program): ")
        }
        var logger = try logger(globals)
        if command.isQuery, !outlet.isFile { logger.logLevel = max(logger.logLevel, .warning) }
        var store = try store(globals)
        store.logger = logger
        logger.debug(
            "\(command.name)",
            metadata: [
                "program": "\(program)", "release": "\(RuntimeVersion.string)",
                "commit": "\(RuntimeVersion.commit)", "root": "\(store.path)",
            ])
        let invocation = Invocation(
            program: program, arguments: arguments, store: store, logger: logger,
            cgroupDriver: globals.has(GlobalFlags.systemdCgroup) ? .systemd : .cgroupfs,
            rootless: try rootless(globals), callerLimits: callerLimits)
        do {
            return try command.perform(invocation)
        } catch {
            throw Failure(error, of: command, program: program)
        }
    }

    private func find(_ name: String) throws(Failure) -> Command {
        if let command = Command.named(name) { return command }
        throw Failure(UsageError("No help topic for '\(name)'"), helpOf: "\(program) --help")
    }

    private func print(_ text: String) throws(Failure) -> Int32 {
        do {
            try StandardOutput.write(text)
            return 0
        } catch {
            throw Failure(error)
        }
    }

    private mutating func openLog(_ globals: Arguments) throws(Failure) {
        let name = globals.text(GlobalFlags.logFormat) ?? LogRecord.Format.text.rawValue
        guard let format = LogRecord.Format(rawValue: name) else {
            throw Failure(UsageError("invalid log-format: \(name)"), helpOf: "\(program) --help")
        }
        outlet = .standardError(format)
        guard let path = globals.path(GlobalFlags.log) else { return }
        do {
            outlet = try .file(path, format)
        } catch {
            throw Failure(.file("cannot open the log", call: "open", path.string, error))
        }
    }

    private func logger(_ globals: Arguments) throws(Failure) -> Logger {
        var logger = outlet.logger(debug: globals.has(GlobalFlags.debug))
        guard let name = globals.text(GlobalFlags.logLevel) else { return logger }
        guard let level = Logger.Level(rawValue: name), [.error, .warning, .debug].contains(level)
        else {
            throw Failure(UsageError("invalid log-level: \(name)"), helpOf: "\(program) --help")
        }
        if !globals.has(GlobalFlags.debug) { logger.logLevel = level }
        return logger
    }

    /// Whether --rootless is set; nil for `auto`.
    private func rootless(_ globals: Arguments) throws(Failure) -> Bool? {
        guard let text = globals.text(GlobalFlags.rootless), !text.isEmpty,
            text.lowercased() != "auto"
        else { return nil }
        guard let value = Arguments.readToggle(text) else {
            throw Failure(
                UsageError("invalid value \(text.debugDescription) for --rootless"),
                helpOf: "\(program) --help")
        }
        return value
    }

    private func store(_ globals: Arguments) throws(Failure) -> ContainerStore {
        guard let text = globals.text(GlobalFlags.root) else { return ContainerStore() }
        do throws(ContainerError) {
            let path = try absolutePath(text)
            guard path != "/" else {
                // The message is runc's.
                throw ContainerError(
                    .invalidArgument, "Option --root argument should not be set to /")
            }
            return ContainerStore(at: path)
        } catch {
            throw Failure(error)
        }
    }
}
