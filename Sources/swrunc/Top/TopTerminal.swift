// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// The terminal of the standard streams while top draws on it.
///
/// Writes never wait: a terminal that is slow or stopped must not keep signals from ending the
/// command. What it has not taken stays here until `flush`.
final class TopTerminal {
    /// The other screen, without a cursor and without wrapping long lines.
    ///
    /// Source: xterm's control sequences, DECSET 1049, 25 and 7.
    private static let beginning = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l\u{1b}[2J"
    private static let ending = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l"
    /// How long a terminal may take to be left, in milliseconds.
    private static let endingMilliseconds: Int32 = 100

    private var former = termios()
    private var isEntered = false
    private let output: FileDescriptor
    private let ownsOutput: Bool
    private var pending: [UInt8] = []

    /// Looks at the terminal; its modes do not change yet.
    ///
    /// - Throws: `invalidArgument` if there is none on which a table can be drawn again.
    init() throws(ContainerError) {
        for (descriptor, name): (CInt, String) in [(1, "output"), (0, "input")]
        where isatty(descriptor) != 1 {
            throw ContainerError(
                .invalidArgument, "standard \(name) is not a terminal",
                hint: "--once prints one table, also to a pipe or a file")
        }
        guard TerminalStyle.isKnown(EnvironmentVariable.text("TERM")) else {
            throw ContainerError(
                .invalidArgument, "the terminal cannot move its cursor, as TERM tells",
                hint: "--once prints one table")
        }
        // Opened anew, since other programs share the flags of the descriptor that is there.
        let noTerminal = FileDescriptor.OpenOptions(rawValue: O_NOCTTY)
        let again = try? FileDescriptor.open(
            "/proc/self/fd/1", .writeOnly, options: [.nonBlocking, .closeOnExec, noTerminal])
        output = again ?? .standardOutput
        ownsOutput = again != nil
        // Its modes are also restored where it has been taken from this process meanwhile.
        _ = signal(SIGTTOU, SIG_IGN)
    }

    deinit {
        leave()
        if ownsOutput { try? output.close() }
    }

    // MARK: Modes

    /// Whether keys come here: not to a job in the background.
    ///
    /// A terminal that does not control this process has no jobs.
    var isInForeground: Bool {
        let group = tcgetpgrp(0)
        return group == -1 || group == getpgrp()
    }

    /// Takes keys as they are typed, without echo, and begins with an empty screen.
    ///
    /// Keys that send signals still do, and those that stop the output do not. After a stop the
    /// modes are set again, as a shell may have changed them.
    func enter() {
        if !isEntered {
            guard tcgetattr(0, &former) == 0 else { return }
            isEntered = true
        }
        var modes = former
        modes.c_lflag &= ~tcflag_t(ICANON | ECHO | IEXTEN)
        modes.c_iflag &= ~tcflag_t(IXON)
        modes.c_lflag |= tcflag_t(ISIG)
        // VMIN and VTIME.
        modes.c_cc.6 = 1
        modes.c_cc.5 = 0
        _ = tcsetattr(0, TCSANOW, &modes)
        pending = Array(Self.beginning.utf8)
    }

    /// Restores the screen and the modes, if they were changed.
    func leave() {
        guard isEntered else { return }
        isEntered = false
        pending = Array(Self.ending.utf8)
        // The modes first: they are restored also where the screen no longer answers.
        _ = tcsetattr(0, TCSANOW, &former)
        if flush(), isWaiting {
            var entry = pollfd(fd: output.rawValue, events: Int16(POLLOUT), revents: 0)
            _ = poll(&entry, 1, Self.endingMilliseconds)
            _ = flush()
        }
        pending = []
    }

    /// Rows and columns; the usual ones of a terminal that does not know.
    var size: (rows: Int, columns: Int) {
        let size = TerminalSize(of: 1)
        let rows = size?.rows ?? 0
        return (rows > 0 ? rows : 24, size?.columns ?? 80)
    }

    // MARK: Bytes

    /// The descriptor that takes output again, while some waits.
    var waitingOutput: CInt { isWaiting ? output.rawValue : -1 }

    /// Whether output waits; the next frame is drawn only after it.
    var isWaiting: Bool { !pending.isEmpty }

    /// Adds text to the output.
    func draw(_ text: String) {
        pending += Array(text.utf8)
    }

    /// Writes what waits as far as the terminal takes it; returns false if there is no terminal any
    /// more.
    func flush() -> Bool {
        while !pending.isEmpty {
            let count = write(output.rawValue, pending, pending.count)
            if count < 0 {
                if errno == EINTR { continue }
                return errno == EAGAIN
            }
            pending.removeFirst(count)
        }
        return true
    }

    /// The keys that wait, which poll(2) has told of; nil if there is no terminal any more.
    func read(_ reader: inout TopKeyReader) -> [TopKey]? {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = Self.readInput(&bytes)
        if count < 0, errno == EINTR || errno == EAGAIN { return [] }
        return count > 0 ? reader.keys(in: bytes.prefix(count)) : nil
    }

    private static func readInput(_ bytes: inout [UInt8]) -> Int {
        #if canImport(Musl)
        Musl.read(0, &bytes, bytes.count)
        #else
        Glibc.read(0, &bytes, bytes.count)
        #endif
    }

    // MARK: Stopping

    /// Stops this process as the key for it would, until it is continued.
    ///
    /// The kernel ignores this for a process that no shell would continue.
    static func stop() {
        var stops = sigset_t()
        sigemptyset(&stops)
        sigaddset(&stops, SIGTSTP)
        kill(getpid(), SIGTSTP)
        // It was blocked, so it takes effect here.
        pthread_sigmask(SIG_UNBLOCK, &stops, nil)
        pthread_sigmask(SIG_BLOCK, &stops, nil)
    }
}
