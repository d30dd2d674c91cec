// SPDX-License-Identifier: Apache-2.0

// Top: the table of `swrunc top`.
//
//   TopLoop      readings, keys and signals in turn, until one of them ends it
//   TopTerminal  the terminal's modes and screen, and how they are restored
//   TopFrame     what the terminal shows of one reading (pure)
//   TopTable     the table: columns, numbers, cutting (pure)
//   TopView      order, filter and scrolling, and what keys do to them (pure)
//   TopKey       the keys in what a terminal sends (pure)

internal import ContainerKit
internal import ContainerKitInspection

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// Reads and draws until a key, a signal or the end of the terminal.
///
/// Signals are blocked and come through a descriptor, so that none can end this process between
/// two changes of the terminal.
struct TopLoop {
    /// The second reading comes soon: the first has no rates.
    private static let firstInterval = Duration.milliseconds(250)

    let program: String
    let interval: Duration
    let intervalText: String
    var meter: UsageMeter
    var view: TopView

    private var frame: TopFrame
    private var next = ContinuousClock.now
    private var keys = TopKeyReader()
    private var mustDraw = true
    /// The status of the end, once something has ended it.
    private var status: Int32?

    /// - Throws: `notFound` or `invalidID`, before anything is drawn.
    init(
        _ program: String, _ meter: UsageMeter, _ view: TopView, every interval: Duration,
        _ intervalText: String
    ) throws(ContainerError) {
        self.program = program
        self.meter = meter
        self.view = view
        self.interval = interval
        self.intervalText = intervalText
        frame = TopFrame(program: program, usages: [], interval: intervalText)
        try read()
        next = .now + min(interval, Self.firstInterval)
    }

    /// Returns the exit status: 0 after a key or SIGINT, 128 and the number of another signal.
    mutating func run(on terminal: TopTerminal) throws(ContainerError) -> Int32 {
        let style = TerminalStyle(of: 1)
        let signals = try ForegroundSignals()
        defer { terminal.leave() }
        if !terminal.isInForeground { try stop(terminal, signals) }
        // It may have been ended while it was stopped, and then leaves the terminal alone.
        if status == nil { terminal.enter() }
        while true {
            if let status { return status }
            guard terminal.flush() else { return Self.status(of: SIGHUP) }
            if mustDraw, !terminal.isWaiting {
                let size = terminal.size
                terminal.draw(
                    frame.drawing(&view, rows: size.rows, columns: size.columns, style))
                mustDraw = false
                continue
            }
            try wait(terminal, signals)
            if status == nil, ContinuousClock.now >= next {
                try read()
                // Readings that were missed are skipped.
                next = max(next + interval, .now)
            }
        }
    }

    private static func status(of signal: Int32) -> Int32 { 128 + signal }

    private mutating func read() throws(ContainerError) {
        var failures: [(id: String, reason: String)] = []
        let usages = try meter.read { id, reason in failures.append((id, "\(reason)")) }
        frame = TopFrame(
            program: program, usages: usages, failures: failures, interval: intervalText)
        mustDraw = true
    }

    /// Waits for keys, signals, room for output or the time of the next reading.
    private mutating func wait(
        _ terminal: TopTerminal, _ signals: borrowing ForegroundSignals
    ) throws(ContainerError) {
        var entries = [
            pollfd(fd: 0, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals.number, events: Int16(POLLIN), revents: 0),
            pollfd(fd: terminal.waitingOutput, events: Int16(POLLOUT), revents: 0),
        ]
        // With EINTR nothing has been seen, and the loop goes on.
        guard poll(&entries, nfds_t(entries.count), next.millisecondsLeft) > 0 else { return }
        if entries[1].revents != 0 { try takeSignals(terminal, signals) }
        guard status == nil, entries[0].revents != 0 else { return }
        guard entries[0].revents & Int16(POLLIN) != 0, let typed = terminal.read(&keys) else {
            status = Self.status(of: SIGHUP)
            return
        }
        for key in typed { take(key, terminal) }
    }

    private mutating func take(_ key: TopKey, _ terminal: TopTerminal) {
        switch view.take(key, page: TopFrame.page(rows: terminal.size.rows)) {
        case .nothing: break
        case .redraw: mustDraw = true
        case .clear: begin(terminal)
        case .refresh: next = .now
        case .quit: status = status ?? 0
        }
    }

    private mutating func begin(_ terminal: TopTerminal) {
        terminal.enter()
        mustDraw = true
    }

    // MARK: Signals

    private mutating func takeSignals(
        _ terminal: TopTerminal, _ signals: borrowing ForegroundSignals
    ) throws(ContainerError) {
        var stops = false
        var continues = false
        signals.take { signal in
            switch signal {
            case ForegroundSignals.windowChange: mustDraw = true
            case ForegroundSignals.continuation: continues = true
            case SIGTSTP: stops = true
            default: end(by: signal)
            }
        }
        guard status == nil else { return }
        if stops || continues && !terminal.isInForeground {
            terminal.leave()
            try stop(terminal, signals)
            continues = true
        }
        if continues, status == nil { begin(terminal) }
    }

    private mutating func end(by signal: Int32) {
        status = status ?? (signal == SIGINT ? 0 : Self.status(of: signal))
    }

    /// Stops until this process is continued in the foreground, or is to end.
    ///
    /// - Throws: `unavailable` if it is in the background, and no shell is there to bring it back.
    private mutating func stop(
        _ terminal: TopTerminal, _ signals: borrowing ForegroundSignals
    ) throws(ContainerError) {
        while status == nil {
            TopTerminal.stop()
            var wasContinued = false
            signals.take { signal in
                switch signal {
                case ForegroundSignals.continuation: wasContinued = true
                case ForegroundSignals.windowChange, SIGTSTP: break
                default: end(by: signal)
                }
            }
            if terminal.isInForeground { return }
            guard wasContinued || status != nil else {
                throw ContainerError(
                    .unavailable, "the terminal belongs to another job",
                    hint: "--once needs no terminal")
            }
        }
    }
}

extension ContinuousClock.Instant {
    /// The milliseconds until then, rounded up, at most a day.
    var millisecondsLeft: Int32 {
        let left = ContinuousClock.now.duration(to: self).components
        guard left.seconds >= 0, left.attoseconds >= 0 else { return 0 }
        guard left.seconds < 86_400 else { return 86_400_000 }
        return Int32(left.seconds) * 1000 + Int32(left.attoseconds / 1_000_000_000_000_000) + 1
    }
}
