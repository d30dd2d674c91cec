// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection
internal import Logging
internal import SystemPackage

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// The flags that show where the time of a launch goes.
enum TraceFlags {
    /// The variable that has the file of `--trace` for commands without the flag.
    static let variable = "SWRUNC_TRACE"

    static let timings = Flag(
        "timings", nil, .toggle, "print to standard error how long each step took")
    static let file = Flag(
        "trace", nil, .text,
        "file to append these times to, as OTLP spans, a line of JSON a command",
        standard: "the variable \(variable)")

    static let all = [timings, file]
}

extension Invocation {
    /// Does a launch, and tells where its time went if a flag asks for that.
    ///
    /// - Parameters:
    ///   - command: the command's name.
    ///   - launch: what is done; its trace is nil if nobody wants one.
    /// - Returns: what `launch` returns.
    /// - Throws: `invalidArgument` or the error of a file that cannot be written, before the launch;
    ///   else the error of `launch`.
    func traced<Result: ~Copyable>(
        _ command: String, _ launch: (LaunchTrace?) throws(ContainerError) -> Result
    ) throws(ContainerError) -> Result {
        let parent = EnvironmentVariable.text(LaunchTrace.variableName)
            .flatMap(TraceContext.init(traceparent:))
        let file = try openTrace()
        defer { file?.close() }
        let prints = arguments.has(TraceFlags.timings)
        guard prints || file != nil else {
            return try launch(parent.map { LaunchTrace(parent: $0, recordsSpans: false) })
        }
        let trace = LaunchTrace(parent: parent)
        do throws(ContainerError) {
            let result = try launch(trace)
            tell(trace, of: command, prints, file, nil)
            return result
        } catch {
            tell(trace, of: command, prints, file, error)
            throw error
        }
    }

    /// The bundle, read as a part of the launch.
    func bundle(in trace: LaunchTrace?) throws(ContainerError) -> Bundle {
        let timeout = try timeout()
        guard let trace else { return try bundle(timeout: timeout) }
        return try trace.measure("runtime.config", "read and check the config") {
            () throws(ContainerError) in
            try bundle(timeout: timeout)
        }
    }

    /// Opens the file of `--trace` before anything is done.
    ///
    /// A file of the variable that cannot be opened is only warned of: it may be set for all commands
    /// of an engine.
    private func openTrace() throws(ContainerError) -> TraceFile? {
        if let text = arguments.text(TraceFlags.file) {
            return try TraceFile(text, named: "--\(TraceFlags.file.name)")
        }
        guard let text = EnvironmentVariable.text(TraceFlags.variable), !text.isEmpty else {
            return nil
        }
        do throws(ContainerError) {
            return try TraceFile(text, named: TraceFlags.variable)
        } catch {
            logger.warning("nothing is traced: \(error)")
            return nil
        }
    }

    private func tell(
        _ trace: LaunchTrace, of command: String, _ prints: Bool, _ file: TraceFile?,
        _ error: ContainerError?
    ) {
        let end = LaunchTrace.now
        if prints {
            let chart = TimeChart(
                title: "\(program) \(command) \(containerID)", start: trace.start, end: end,
                hasFailed: error != nil, spans: trace.spans, width: TerminalSize(of: 2)?.columns,
                style: TerminalStyle(of: 2))
            StandardError.write(chart.text)
        }
        guard let file else { return }
        let line = trace.otlpLine(
            named: "swrunc \(command)", container: containerID, until: end,
            failure: error.map { "\($0)" }, service: "swrunc")
        do {
            try file.append(line)
        } catch {
            logger.error("the trace is lost: \(error)")
        }
    }
}

/// A file to which commands append lines.
private struct TraceFile {
    private let descriptor: FileDescriptor

    /// Opens a regular file, which is made if it is missing, or a device.
    ///
    /// In a pipe, lines longer than PIPE_BUF of several commands would be mixed, and a slow reader
    /// would hold up the launch.
    /// - Parameters:
    ///   - text: the path.
    ///   - origin: the flag or variable, for messages.
    /// - Throws: `invalidArgument`, or the error of a file that cannot be opened.
    init(_ text: String, named origin: String) throws(ContainerError) {
        guard !text.isEmpty else {
            throw ContainerError(.invalidArgument, "\(origin): expected a file")
        }
        do {
            descriptor = try Self.open(text)
        } catch {
            throw .file("\(origin): cannot open the file", call: "open", text, error)
        }
        var status = stat()
        guard fstat(descriptor.rawValue, &status) == 0 else { return }
        guard ![S_IFIFO, S_IFSOCK].contains(status.st_mode & S_IFMT) else {
            try? descriptor.close()
            throw ContainerError(
                .invalidArgument, "\(origin): \(text.debugDescription) is a pipe",
                hint: "give a regular file: in a pipe the lines of several commands would be mixed")
        }
    }

    /// For reading too, if possible, to find a line that was cut.
    private static func open(_ text: String) throws -> FileDescriptor {
        let noTerminal = FileDescriptor.OpenOptions(rawValue: O_NOCTTY)
        do {
            return try FileDescriptor.openForAppending(
                FilePath(text), .readWrite, options: noTerminal)
        } catch Errno.permissionDenied {
            return try FileDescriptor.openForAppending(FilePath(text), options: noTerminal)
        }
    }

    func close() {
        try? descriptor.close()
    }

    /// Appends a line by a single write, so that the lines of several commands are not mixed.
    ///
    /// If a full disk has cut the line before, this one begins on a new line.
    func append(_ line: String) throws {
        var text = Array(line.utf8)
        if descriptor.lastByte ?? UInt8(ascii: "\n") != UInt8(ascii: "\n") {
            text.insert(UInt8(ascii: "\n"), at: 0)
        }
        try descriptor.writeAll(text)
    }
}
