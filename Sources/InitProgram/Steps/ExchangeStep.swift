// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary

/// Steps in which the child and the runtime wait for each other.
package enum ExchangeStep: ChildStep {
    /// Waits for one byte from the parent; ends if the parent is gone.
    case waitForParent(ParentEvent)
    /// Sends one byte to the parent.
    case reportToParent(ChildEvent)
    /// Waits until `start` connects.
    ///
    /// Its connection is closed by a successful execve.
    case waitForStart
    /// Like `waitForStart`, for the first process of a pid namespace, with all signals blocked;
    /// ends when a terminating signal comes.
    ///
    /// The kernel does not apply the default action of signals to such a process, so it reads them.
    /// Kernel: pid_namespaces(7), signalfd(2).
    case waitForStartOrSignal
}

extension ExchangeStep {
    package var sentence: String {
        switch self {
        case .waitForParent(let event): "wait for the runtime: \(event.rawValue)"
        case .reportToParent(let event): "report that \(event.words)"
        case .waitForStart: "wait for start"
        case .waitForStartOrSignal: "wait for start, or for a signal to end"
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .waitForParent, .reportToParent: [.rendezvous]
        case .waitForStart, .waitForStartOrSignal: [.startSocket]
        }
    }

    package var exchanges: [Exchange] {
        switch self {
        case .waitForParent(let event): [.receives(.release(event))]
        case .reportToParent(let event): [.sends(.report(event))]
        case .waitForStart, .waitForStartOrSignal: [.receives(.release(.start))]
        }
    }

    package var usesRoot: Bool { false }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .waitForParent: code.waitForParent()
        case .reportToParent(let event): code.reportToParent(event)
        case .waitForStart: state.startConnection = code.waitForStart()
        case .waitForStartOrSignal: state.startConnection = code.waitForStartOrSignal()
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        nil
    }
}

extension Assembler {
    mutating func waitForParent() {
        let byte = scratch()
        let count = cell("received")
        let rendezvous = input(.rendezvous)
        call(
            .read, [.cell(rendezvous), .address(byte), .literal(1)], into: count,
            retries: 1000)
        let received = skip(when: .equals(count, 1))
        // The parent is gone: there is nobody to report an error to.
        call(.exitGroup, [.literal(0)])
        place(received)
    }

    mutating func reportToParent(_ event: ChildEvent) {
        let byte = bytes([event.rawValue])
        let rendezvous = input(.rendezvous)
        call(
            .write, [.cell(rendezvous), .address(byte), .literal(1)], retries: 1000)
    }

    mutating func waitForStart() -> Cell {
        markStartWait()
        return acceptStart()
    }

    /// The signals that ask a process to end: HUP, INT, QUIT, ABRT and TERM.
    ///
    /// They end runc's waiting init, too. Source: signal(7).
    static let endingSignals: [SignalNumber] = [.hangUp, .interrupt, .quit, .abort, .terminate]

    /// Waits for `start` or a terminating signal; an earlier signal wins, since blocked signals
    /// stay pending.
    ///
    /// The exit status is 128 plus the signal, as a shell reports it.
    mutating func waitForStartOrSignal() -> Cell {
        let signals = cell("signals")
        let mask = words([Self.endingSignals.reduce(0) { $0 | $1.bit }])
        call(
            .signalfd4,
            [
                .literal(-1), .address(mask), .literal(SignalNumber.maskBytes),
                .named(SignalQueueFlags.closeOnExec),
            ], into: signals)
        let polled = pollEntries(signals, .readable, input(.startSocket), .readable)
        markStartWait()
        poll(polled)
        let isStart = skip(when: .isNotReadable(polled))
        // struct signalfd_siginfo begins with the number.
        let received = reserve(128)
        call(.read, [.cell(signals), .address(received), .literal(128)])
        let ends = Self.endingSignals.map { number in
            (number, skip(when: .isWord(received, number.rawValue)))
        }
        for (number, isThis) in ends {
            place(isThis)
            call(.exitGroup, [.literal(128 + number.rawValue)])
        }
        place(isStart)
        call(.close, [.cell(signals)])
        return acceptStart()
    }

    private mutating func acceptStart() -> Cell {
        let connection = cell("start-connection")
        let socket = input(.startSocket)
        // The connection itself is the order, so nothing is lost if `start` dies half-way. It stays
        // open until execve closes it, which tells `start` that all went well.
        call(
            .accept4,
            [
                .cell(socket), .literal(0), .literal(0), .named(AcceptFlags.closeOnExec),
            ], into: connection, retries: 1000)
        call(.close, [.cell(socket)])
        return connection
    }
}

extension SystemCall {
    static var accept4: SystemCall { SystemCall("accept4", __NR_accept4) }
    static var signalfd4: SystemCall { SystemCall("signalfd4", __NR_signalfd4) }
}
#endif
