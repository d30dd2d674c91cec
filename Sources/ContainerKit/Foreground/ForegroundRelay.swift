// SPDX-License-Identifier: Apache-2.0

// Foreground: connects a process in the foreground with the caller.
//
//   ForegroundRelay    forwards the caller's signals and connects its terminal
//   ForegroundSignals  the caller's signals to forward
//   GivenStream        a standard stream that is given to the process's user, and later given back
//   ReadinessRelay     forwards a container's readiness to the service manager: NOTIFY_SOCKET

#if os(Linux)
internal import ByteText
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Connects a process in the foreground with the caller's signals and terminal.
///
/// It is one loop over poll(2), without a thread or a signal handler: the signals are blocked in
/// the calling thread and read from a descriptor. Other threads of a host program keep their masks,
/// so a signal to the whole process may go to one of them.
///
/// Every signal that can be caught is forwarded, except SIGCHLD, SIGURG and SIGPIPE, which concern
/// the runtime alone; SIGWINCH, which resizes the terminal; faults, which no process sends; and
/// SIGTTIN and SIGTTOU, which stop a background job.
struct ForegroundRelay {
    /// The process.
    let pidfd: CInt
    /// Its pid, for error messages.
    let pid: Int32
    /// The master of its terminal, which stays open; nil if it has none.
    let terminalMaster: CInt?
    /// Forwards the readiness of the process.
    var readiness: ReadinessRelay?
    /// The input: the caller's descriptor 0.
    var input: CInt = 0
    /// The output: the caller's descriptor 1.
    var output: CInt = 1

    /// Relays until the process has ended and its terminal holds no more output.
    ///
    /// It does not wait for the process as a child. The terminal's modes are restored when it
    /// returns, also by an error.
    func run(_ signals: borrowing ForegroundSignals) throws(SystemCallError) {
        guard let terminalMaster else { return try relaySignals(signals) }
        prepareTerminal(terminalMaster)
        let host = HostTerminal(input)
        host?.makeRaw()
        defer { host?.restore() }
        try relayTerminal(terminalMaster, signals, host)
    }

    /// Relays, blocking the signals only from now on.
    func run() throws(SystemCallError) {
        try run(ForegroundSignals(blocking: ()))
    }

    /// Gives a new terminal the size of the caller's, and turns off its conversion of "\n" to
    /// "\r\n".
    ///
    /// The caller's own terminal does that conversion; without one, the output is exactly what the
    /// process wrote. Call this before the process runs, so that it never sees another size.
    static func prepare(terminal master: CInt) {
        ForegroundRelay(pidfd: -1, pid: 0, terminalMaster: nil).prepareTerminal(master)
    }

    private func prepareTerminal(_ master: CInt) {
        copyWindowSize(to: master)
        var modes = TerminalModes()
        guard terminalCall(master, TCGETS, &modes) else { return }
        modes.output &= ~UInt32(TerminalOutputFlags.newlineToReturn.rawValue)
        _ = terminalCall(master, TCSETS, &modes)
    }

    // MARK: Without a terminal

    private func relaySignals(_ signals: borrowing ForegroundSignals) throws(SystemCallError) {
        var entries = [
            PollEntry(pidfd, .readable), PollEntry(signals.number, .readable),
            PollEntry(readiness?.socket ?? -1, .readable),
        ]
        while true {
            try poll(&entries)
            if !entries[2].seen.isEmpty, passReadiness() { entries[2].descriptor = -1 }
            if !entries[1].seen.isEmpty {
                // There is no terminal to resize.
                signals.take { if $0 != ForegroundSignals.windowChange { forward($0) } }
            }
            if !entries[0].seen.isEmpty { return }
        }
    }

    /// Forwards readiness; a manager that cannot be reached must not end the process or the wait
    /// for it.
    private func passReadiness() -> Bool {
        (try? readiness?.relay(mainProcess: ownProcessID, staysThere: true)) ?? true
    }

    /// Forwards a signal; errors are ignored, as the process may be gone or belong to another user.
    private func forward(_ signal: Int32) {
        _ = try? sendSignal(pidfd, signal)
    }

    // MARK: With a terminal

    private func relayTerminal(
        _ master: CInt, _ signals: borrowing ForegroundSignals, _ host: HostTerminal?
    ) throws(SystemCallError) {
        var streams = TerminalStreams(master: master, input: input, output: output)
        defer { streams.close() }
        var hasEnded = false
        var isReady = false
        while true {
            var entries = [
                PollEntry(hasEnded ? -1 : pidfd, .readable),
                PollEntry(signals.number, .readable),
                PollEntry(isReady || hasEnded ? -1 : readiness?.socket ?? -1, .readable),
            ]
            streams.addEntries(to: &entries)
            // After the end, all output of the terminal is already there: poll(2) does not wait for
            // more.
            let ready = try poll(
                &entries, timeoutMilliseconds: hasEnded && !streams.hasOutput ? 0 : -1)
            if hasEnded, ready == 0 { return }
            if !entries[2].seen.isEmpty { isReady = passReadiness() }
            if !entries[0].seen.isEmpty {
                hasEnded = true
                streams.endInput()
            }
            var givesUp = false
            if !entries[1].seen.isEmpty {
                signals.take { signal in
                    if signal == ForegroundSignals.windowChange {
                        copyWindowSize(to: master)
                    } else if hasEnded {
                        // There is no process to forward to, and the reader of the output may hang.
                        givesUp = givesUp || ForegroundSignals.ending.contains(signal)
                    } else {
                        if signal == ForegroundSignals.continuation { host?.makeRaw() }
                        forward(signal)
                    }
                }
            }
            if givesUp { return }
            streams.move(entries)
            if hasEnded, streams.isDone { return }
        }
    }

    private func copyWindowSize(to master: CInt) {
        var size: (UInt16, UInt16, UInt16, UInt16) = (0, 0, 0, 0)
        for descriptor in [input, output, 2] where terminalCall(descriptor, TIOCGWINSZ, &size) {
            _ = terminalCall(master, TIOCSWINSZ, &size)
            return
        }
    }
}

// MARK: - The caller's terminal

/// The terminal of the input, and its original modes.
private struct HostTerminal {
    private let descriptor: CInt
    private let former: TerminalModes

    init?(_ descriptor: CInt) {
        var modes = TerminalModes()
        guard terminalCall(descriptor, TCGETS, &modes) else { return nil }
        self.descriptor = descriptor
        former = modes
    }

    /// Passes every key to the process unchanged; "\n" is still shown as "\r\n".
    ///
    /// Source: cfmakeraw of termios(3), without its change of OPOST.
    func makeRaw() {
        var modes = former
        let input: TerminalInputFlags =
            .ignoreBreak | .signalBreak | .markParity | .stripBits | .newlineToReturn
            | .ignoreReturn | .returnToNewline | .stopOutput
        let local: TerminalLocalFlags = .signals | .lines | .echo | .echoNewline | .extensions
        modes.input &= ~UInt32(input.rawValue)
        modes.local &= ~UInt32(local.rawValue)
        modes.control &= ~UInt32(TerminalControlFlags.parity.rawValue)
        modes.control |= UInt32(TerminalControlFlags.eightBits.rawValue)
        modes.characters[TerminalCharacter.minimum.rawValue] = 1
        modes.characters[TerminalCharacter.time.rawValue] = 0
        set(modes)
    }

    func restore() {
        set(former)
    }

    /// Only SIGTTOU can interrupt this: it stops a background job.
    private func set(_ modes: TerminalModes) {
        var modes = modes
        _ = terminalCall(descriptor, TCSETS, &modes)
    }
}

// MARK: - The bytes

/// Copies the input to a terminal's master, and the master's output to the output.
///
/// There is one buffer per direction: nothing is read until it is empty, so that a slow reader
/// slows down its writer and nothing is lost.
private struct TerminalStreams {
    /// What a pipe that poll(2) reports as writable takes without blocking: PIPE_BUF.
    private static let pieceBytes = 4096

    private let master: CInt
    /// The output; a terminal is opened again for non-blocking writes, since the flags of the
    /// original are shared with other programs.
    private let outlet: CInt
    private let ownsOutlet: Bool
    private let inlet: CInt
    private var input = Piece()
    private var output = Piece()
    private var readsInput = true
    private var readsMaster = true
    private var discardsOutput = false
    /// The index of the first of the three entries that `addEntries` has added.
    private var first = 0

    init(master: CInt, input: CInt, output: CInt) {
        self.master = master
        inlet = input
        var modes = TerminalModes()
        let again =
            terminalCall(output, TCGETS, &modes)
            ? try? openFile(
                "/proc/self/fd/\(output)", .writeOnly | .nonBlocking | .noTerminal) : nil
        ownsOutlet = again != nil
        outlet = again?.release() ?? output
    }

    func close() {
        if ownsOutlet { _ = OwnedDescriptor(taking: outlet) }
    }

    /// Whether output waits to be written.
    var hasOutput: Bool { !output.isEmpty }

    /// Whether the master is at its end and all its output is written.
    var isDone: Bool { !readsMaster && output.isEmpty }

    /// Stops reading input, because the process is gone.
    mutating func endInput() {
        readsInput = false
        input.removeAll()
    }

    mutating func addEntries(to entries: inout [PollEntry]) {
        first = entries.count
        var wanted: PollEvents = .empty
        if readsMaster, output.isEmpty { wanted |= .readable }
        if readsMaster, !input.isEmpty { wanted |= .writable }
        entries.append(PollEntry(readsInput && input.isEmpty ? inlet : -1, .readable))
        // A master whose slave is closed is always ready, so it is polled only if something is
        // wanted.
        entries.append(PollEntry(wanted.isEmpty ? -1 : master, wanted))
        entries.append(PollEntry(output.isEmpty ? -1 : outlet, .writable))
    }

    mutating func move(_ entries: [PollEntry]) {
        if !entries[first].seen.isEmpty {
            // The end of the input is not passed on: the process's terminal stays open.
            readsInput = input.fill(from: inlet, atMost: Self.pieceBytes) != .ended
        }
        let seen = entries[first + 1].seen
        // A master whose slave is closed takes no input, but may still hold output.
        if !seen.isDisjoint(with: .hungUp | .error | .invalid) { endInput() }
        if seen.contains(.writable), !input.isEmpty, !input.drain(to: master) { endInput() }
        if !seen.isEmpty, output.isEmpty {
            // EIO: no process has the terminal open.
            readsMaster = output.fill(from: master, atMost: Self.pieceBytes) != .ended
        }
        if !entries[first + 2].seen.isEmpty || discardsOutput {
            // If nobody reads the output, the process goes on and its output is discarded.
            if discardsOutput || !output.drain(to: outlet) {
                discardsOutput = true
                output.removeAll()
            }
        }
    }

    /// Bytes that are read and not yet written.
    private struct Piece {
        enum Outcome { case some, none, ended }

        private var bytes: [UInt8] = []
        private var start = 0

        var isEmpty: Bool { start == bytes.count }

        mutating func removeAll() {
            bytes.removeAll(keepingCapacity: true)
            start = 0
        }

        /// Reads once.
        mutating func fill(from descriptor: CInt, atMost limit: Int) -> Outcome {
            start = 0
            do throws(SystemCallError) {
                guard let read = try readAvailable(descriptor, limitBytes: limit) else {
                    bytes = []
                    return .none
                }
                bytes = read
                return read.isEmpty ? .ended : .some
            } catch {
                bytes = []
                return .ended
            }
        }

        /// Writes once; returns false if nobody will ever read.
        mutating func drain(to descriptor: CInt) -> Bool {
            guard let count = try? writeAvailable(bytes[start...], to: descriptor) else {
                return false
            }
            start += count
            return true
        }
    }
}
#endif
