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
        "trace", nil, .text, "file to append the same to, as OTLP spans, one line of JSON",
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
        defer { try? file?.close() }
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
        guard let trace else { return try bundle() }
        return try trace.measure("runtime.config", "read and check the config") {
            () throws(ContainerError) in
            try bundle()
        }
    }

    /// Opens the file of `--trace` before anything is done.
    private func openTrace() throws(ContainerError) -> FileDescriptor? {
        let given = arguments.text(TraceFlags.file)
        guard let text = given ?? EnvironmentVariable.text(TraceFlags.variable) else { return nil }
        let origin = given == nil ? TraceFlags.variable : "--\(TraceFlags.file.name)"
        guard !text.isEmpty else {
            // An empty variable is as good as none.
            guard given != nil else { return nil }
            throw ContainerError(.invalidArgument, "\(origin): expected a file")
        }
        do {
            return try FileDescriptor.open(
                FilePath(text), .writeOnly,
                options: [
                    .append, .create, .closeOnExec, .nonBlocking,
                    FileDescriptor.OpenOptions(rawValue: O_NOCTTY),
                ],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        } catch {
            throw .file("\(origin): cannot open the file", call: "open", text, error)
        }
    }

    private func tell(
        _ trace: LaunchTrace, of command: String, _ prints: Bool, _ file: FileDescriptor?,
        _ error: ContainerError?
    ) {
        let end = LaunchTrace.now
        if prints {
            let chart = TimeChart(
                title: "\(program) \(command) \(containerID)", start: trace.start, end: end,
                spans: trace.spans, width: TerminalSize(of: 2)?.columns,
                style: TerminalStyle(of: 2))
            StandardError.write(chart.text)
        }
        guard let file else { return }
        let line = trace.otlpLine(
            named: "swrunc \(command)", container: containerID, until: end,
            failure: error.map { "\($0)" }, service: "swrunc")
        do {
            // In a single write, so that lines of commands that share a file are not mixed.
            try file.writeAll(line.utf8)
        } catch {
            logger.warning("the trace is lost: \(error)")
        }
    }
}
