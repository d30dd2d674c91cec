// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// The three streams of one hook: its input is the container's state, and the beginning of its
/// output is kept for error messages.
///
/// A hook that reads nothing, or that leaves a process behind with the streams open, cannot block
/// the runtime: all ends are polled, and the runtime waits only for the end of the hook itself.
final class HookStreams {
    /// The hook's ends: standard input, output and error, all above 2.
    private(set) var hookEnds: [CInt] = []
    /// The runtime's ends; -1 if closed.
    private var feed: CInt = -1
    private var drains: [CInt] = []
    private var unsent: ArraySlice<UInt8>
    private var texts: [[UInt8]] = [[], []]

    private static let keptBytes = 16 << 10
    private static let chunkBytes = 64 << 10

    /// Streams for a hook whose input is `state`.
    init(_ state: [UInt8], _ outlets: HookOutlets) throws(SystemCallError) {
        unsent = state[...]
        let input = try makePipe()
        hookEnds.append(input.reader)
        feed = input.writer
        try makeNonBlocking(feed)
        for path in [outlets.output, outlets.error] {
            if let path {
                // A FIFO without a reader fails here instead of blocking.
                let file = try openFile(
                    path, .writeOnly | .create | .append | .nonBlocking, mode: 0o600)
                try makeBlocking(file.number)
                hookEnds.append(try aboveStreams(file).release())
                drains.append(-1)
            } else {
                let output = try makePipe()
                hookEnds.append(output.writer)
                drains.append(output.reader)
                try makeNonBlocking(output.reader)
            }
        }
    }

    deinit {
        for number in hookEnds + drains + [feed] { close(number) }
    }

    private func close(_ number: CInt) {
        if number >= 0 { _ = OwnedDescriptor(taking: number) }
    }

    /// Closes this process's copies of the hook's output ends.
    ///
    /// The reading end of the input stays open: without a reader, a write would raise SIGPIPE in
    /// the host program.
    func closeOutputEnds() {
        for index in 1..<hookEnds.count {
            close(hookEnds[index])
            hookEnds[index] = -1
        }
    }

    // MARK: While the hook runs

    /// The reason why `attend` returns.
    enum Outcome {
        case ended
        case tooSlow
        /// The container's init has ended first.
        case lostInit
    }

    /// Writes to and reads from the hook until `watched` is readable, the time is over, or init has
    /// ended.
    ///
    /// - Parameters:
    ///   - watched: a descriptor that becomes readable at the hook's end.
    ///   - initProcess: init's pidfd, or -1.
    ///   - timeoutSeconds: how long to wait; nil waits for ever.
    ///   - limit: when to stop waiting in any case.
    /// - Returns: which of these came first.
    /// - Throws: a failed poll(2), read(2) or write(2).
    func attend(
        until watched: CInt, initProcess: CInt = -1, timeoutSeconds: Int?,
        before limit: Deadline? = nil
    ) throws(SystemCallError) -> Outcome {
        var deadline = timeoutSeconds.flatMap(Self.deadline)
        if let limit { deadline = min(deadline ?? .max, limit.nanoseconds) }
        while true {
            var entries = [
                PollEntry(watched, .readable), PollEntry(feed, .writable),
                PollEntry(drains[0], .readable), PollEntry(drains[1], .readable),
                PollEntry(initProcess, .readable),
            ]
            var left = -1
            if let deadline {
                let now = ClockTime.monotonic.totalNanoseconds
                left = deadline <= now ? 0 : min((deadline - now - 1) / 1_000_000 + 1, 1 << 31)
            }
            let ready = try poll(&entries, timeoutMilliseconds: left)
            if ready == 0, left == 0 { return .tooSlow }
            if !entries[1].seen.isEmpty { try sendMore() }
            for index in 0..<2 where !entries[2 + index].seen.isEmpty { try receiveMore(index) }
            if !entries[0].seen.isEmpty {
                try receiveRest()
                return .ended
            }
            if !entries[4].seen.isEmpty { return .lostInit }
        }
    }

    private static func deadline(_ seconds: Int) -> Int? {
        let (nanoseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (time, tooLate) = ClockTime.monotonic.totalNanoseconds
            .addingReportingOverflow(nanoseconds)
        return overflow || tooLate ? nil : time
    }

    private func sendMore() throws(SystemCallError) {
        unsent = unsent.dropFirst(try writeAvailable(unsent, to: feed))
        guard unsent.isEmpty else { return }
        close(feed)
        feed = -1
    }

    private func receiveMore(_ index: Int) throws(SystemCallError) {
        let bytes = try readAvailable(drains[index], limitBytes: Self.chunkBytes)
        guard let bytes else { return }
        if bytes.isEmpty {
            close(drains[index])
            drains[index] = -1
        }
        texts[index] += bytes.prefix(max(0, Self.keptBytes - texts[index].count))
    }

    /// Reads the rest of the hook's output, which is in the pipes by now; output of other processes
    /// is not waited for.
    private func receiveRest() throws(SystemCallError) {
        for index in 0..<2 where drains[index] >= 0 { try receiveMore(index) }
    }

    // MARK: The error

    /// The error of a hook that was run with these streams.
    func failure(of hook: PlannedHook, _ words: String) -> ContainerError {
        var parts = ["\(hook.failureText): \(words)"]
        for (name, bytes) in zip(["stdout", "stderr"], texts) {
            let text = Self.trimmed(String(decoding: bytes, as: UTF8.self))
            if !text.isEmpty { parts.append("\(name): \(text)") }
        }
        return ContainerError(.hookFailed, parts.joined(separator: ", "), field: hook.field)
    }

    /// The kept part of standard output.
    var outputText: String { Self.trimmed(String(decoding: texts[0], as: UTF8.self)) }

    /// The kept part of standard error.
    var errorText: String { Self.trimmed(String(decoding: texts[1], as: UTF8.self)) }

    private static func trimmed(_ text: String) -> String {
        var rest = text[...]
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}

extension PlannedHook {
    /// The message for a hook that has timed out; the words are runc's.
    var timeoutText: String {
        "hook ran past specified timeout of \(timeoutSeconds ?? 0).0s"
    }

    /// The error of a hook that still runs when the caller's time is over.
    func overdue(_ limit: TimeLimit) -> ContainerError {
        limit.passed("\(point.rawValue) hook \(index) (\(path)) still runs", field: field)
    }
}

extension ExitStatus {
    /// The words for an error message; nil for success.
    var failureWords: String? {
        switch self {
        case .exited(0): nil
        case .exited(let code): "exit status \(code)"
        case .signaled(let number): "signal: \(Signal(rawValue: number)?.words ?? "\(number)")"
        case .unknown: "exit status unknown"
        }
    }
}

/// The files for the output of hooks, beside the part that is kept for errors.
///
/// The annotations are crun's: `run.oci.hooks.stdout` and `run.oci.hooks.stderr`, each with the
/// path of a file to append to.
struct HookOutlets: Equatable, Sendable {
    var output: String?
    var error: String?

    init(annotations: [String: String]) {
        output = annotations[ConfigAnnotation.hookOutput]
        error = annotations[ConfigAnnotation.hookErrors]
    }
}
#endif
