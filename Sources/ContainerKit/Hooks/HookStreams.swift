// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// The three streams of one hook: the container's state for it to read, and its output, the beginning of
/// which is kept for an error's text.
///
/// Neither a hook that reads nothing nor a process that it leaves behind with the streams open can make
/// the runtime wait: all ends are polled, and the hook's own end is what is waited for.
final class HookStreams {
    /// The hook's ends: standard input, output and error, all above 2.
    private(set) var hookEnds: [CInt] = []
    /// The runtime's ends; -1 where one is closed.
    private var feed: CInt = -1
    private var drains: [CInt] = []
    private var unsent: ArraySlice<UInt8>
    private var texts: [[UInt8]] = [[], []]

    private static let keptBytes = 16 << 10
    private static let chunkBytes = 64 << 10

    /// Streams for a hook that is told `state`.
    init(_ state: [UInt8], _ outlets: HookOutlets) throws(SystemCallError) {
        unsent = state[...]
        let input = try makePipe()
        hookEnds.append(input.reader)
        feed = input.writer
        try makeNonBlocking(feed)
        for path in [outlets.output, outlets.error] {
            if let path {
                // A fifo that nobody reads is refused, not waited for.
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

    /// Leaves the hook's output to the hook.
    ///
    /// Its input stays open here: without a reader, a write would raise SIGPIPE in the host program.
    func closeOutputEnds() {
        for index in 1..<hookEnds.count {
            close(hookEnds[index])
            hookEnds[index] = -1
        }
    }

    // MARK: While the hook runs

    /// Why the runtime stops attending to a hook.
    enum Outcome {
        case ended
        case tooSlow
        /// The container's init has ended first.
        case lostInit
    }

    /// Feeds and drains the hook until `watched` can be read, the time is over, or init has ended.
    ///
    /// - Parameters:
    ///   - watched: a descriptor that tells the hook's end.
    ///   - initProcess: init's pidfd, or -1.
    ///   - timeoutSeconds: how long to wait; nil is for ever.
    /// - Returns: Which of these came first.
    /// - Throws: a refused poll(2), read(2) or write(2).
    func attend(until watched: CInt, initProcess: CInt = -1, timeoutSeconds: Int?)
        throws(SystemCallError) -> Outcome
    {
        let deadline = timeoutSeconds.flatMap(Self.deadline)
        while true {
            var entries = [
                PollEntry(watched, .readable), PollEntry(feed, .writable),
                PollEntry(drains[0], .readable), PollEntry(drains[1], .readable),
                PollEntry(initProcess, .readable),
            ]
            var left = -1
            if let deadline {
                let now = ClockTime.monotonic.totalNanoseconds
                left = min(max(0, (deadline - now + 999_999) / 1_000_000), 1 << 31)
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

    /// The last words of the hook are in the pipes by now; what others write to them is not waited for.
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

    /// What was written to standard error, as far as it is kept.
    var errorText: String { Self.trimmed(String(decoding: texts[1], as: UTF8.self)) }

    private static func trimmed(_ text: String) -> String {
        var rest = text[...]
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}

extension PlannedHook {
    /// The words for a hook that did not end in time; they are runc's.
    var timeoutText: String {
        "hook ran past specified timeout of \(timeoutSeconds ?? 0).0s"
    }
}

extension ExitStatus {
    /// As an error says it; nil for success.
    var failureWords: String? {
        switch self {
        case .exited(0): nil
        case .exited(let code): "exit status \(code)"
        case .signaled(let number): "signal: \(Signal(rawValue: number)?.words ?? "\(number)")"
        case .unknown: "exit status unknown"
        }
    }
}

/// Where the output of hooks goes when it is not kept for an error.
///
/// The annotations are crun's: `run.oci.hooks.stdout` and `run.oci.hooks.stderr`, each a path that is
/// appended to.
struct HookOutlets: Equatable, Sendable {
    var output: String?
    var error: String?

    init(annotations: [String: String]) {
        output = annotations[ConfigAnnotation.hookOutput]
        error = annotations[ConfigAnnotation.hookErrors]
    }
}
