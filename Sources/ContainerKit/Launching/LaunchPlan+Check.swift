// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram

/// An inconsistency between the two columns of a plan: a mistake of ours.
struct PlanFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// The kind of inconsistency; a test produces each of them.
    enum Kind: CaseIterable {
        /// The child is not started once and then taken over once.
        case childStart
        /// The child needs a descriptor that nobody opens for it.
        case missingDescriptor
        /// The preparation of a hook's own process needs more than that process has.
        case hookPreparation
        /// Rules of Landlock have no ruleset, or a ruleset never holds or holds too late.
        case ruleset
        /// The last step neither executes the program nor ends the child.
        case end
        /// The runtime would wait for ever.
        case runtimeWaits
        /// The child would wait for ever.
        case childWaits
        /// A message has no receiver.
        case unreceived
    }

    let kind: Kind
    let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}

extension LaunchPlan {
    /// Checks, before the child exists, that it will not lack a descriptor or wait for ever.
    ///
    /// - Throws: the first fault.
    func check() throws(PlanFault) {
        try checkChildStart()
        try checkInputs()
        try checkHooks()
        try checkRuleset()
        try checkEnd()
        try checkExchanges()
    }

    /// The child is started once, and no message is exchanged before it is taken over.
    private func checkChildStart() throws(PlanFault) {
        var starts = 0
        var takes = 0
        for planned in parentSteps {
            switch planned.step {
            case .child(.start): starts += 1
            case .child(.take):
                takes += 1
                guard starts == 1 else {
                    throw PlanFault(.childStart, "a child is taken over that was not started")
                }
            default:
                guard takes == 0, !planned.step.action.exchanges.isEmpty else { continue }
                throw PlanFault(
                    .childStart,
                    "before the child is taken over: \(planned.step.action.sentence)")
            }
        }
        guard starts == 1, takes == 1 else {
            throw PlanFault(
                .childStart, "the child is started \(starts) times and taken over \(takes) times")
        }
    }

    /// Each inherited descriptor of the child's program is opened before the clone.
    private func checkInputs() throws(PlanFault) {
        var provided: [InheritedDescriptor] = []
        for planned in parentSteps {
            provided += planned.step.action.provides
            if case .child(.start) = planned.step { break }
        }
        // By index: a loop over the elements would copy each step.
        for index in childSteps.indices {
            for input in childSteps[index].step.inputs where !input.isMadeByStart {
                guard provided.contains(input) else {
                    throw PlanFault(.missingDescriptor, "nothing opens \(input) for the child")
                }
            }
            if let opened = childSteps[index].step.opened { provided.append(opened) }
        }
    }

    /// A hook's own process uses only its three streams, and exchanges no messages, which nobody
    /// would answer.
    private func checkHooks() throws(PlanFault) {
        for planned in childSteps {
            guard case .hook(.runHook(let hook, let preparing, _, _)) = planned.step else {
                continue
            }
            for step in preparing where !step.inputs.isEmpty || !step.exchanges.isEmpty {
                throw PlanFault(
                    .hookPreparation,
                    "the process of the hook \(hook.path) has nothing to do this with: "
                        + step.sentence)
            }
        }
    }

    /// A Landlock ruleset is made before its rules, and holds before there is a seccomp filter,
    /// which may refuse its calls.
    private func checkRuleset() throws(PlanFault) {
        var isOpen = false
        var isFiltered = false
        for planned in childSteps {
            switch planned.step {
            case .landlock(.makeRuleset): isOpen = true
            case .landlock(.restrict) where isOpen && !isFiltered: isOpen = false
            case .landlock where !isOpen || isFiltered:
                throw PlanFault(
                    .ruleset,
                    "\(isOpen ? "after the filter" : "without a ruleset"): \(planned.step.sentence)"
                )
            case .filter: isFiltered = true
            default: continue
            }
        }
        guard isOpen else { return }
        throw PlanFault(.ruleset, "a ruleset is made that never holds")
    }

    /// No step follows the one that executes the program, or ends a child that has none.
    private func checkEnd() throws(PlanFault) {
        let end = childSteps.firstIndex { planned in
            switch planned.step {
            case .execution(.execute), .process(.end): true
            default: false
            }
        }
        guard let end else { throw PlanFault(.end, "the child never executes the program") }
        guard end == childSteps.count - 1 else {
            throw PlanFault(
                .end, "a step follows the program: \(childSteps[end + 1].step.sentence)")
        }
    }

    /// Each message has a sender and a receiver, in an order in which neither side waits for ever.
    private func checkExchanges() throws(PlanFault) {
        var runtime = Side()
        for planned in parentSteps { runtime.exchanges += planned.step.action.exchanges }
        for planned in laterSteps { runtime.exchanges += planned.step.action.exchanges }
        var child = Side()
        // By index: a loop over the elements would copy each step.
        for index in childSteps.indices { child.exchanges += childSteps[index].step.exchanges }
        // Each side advances until it waits for a message that the other has not sent yet.
        while runtime.advance(to: &child) || child.advance(to: &runtime) {}
        if let message = runtime.awaited {
            throw PlanFault(.runtimeWaits, "the runtime waits for \(message)" + runtime.found)
        }
        if let message = child.awaited {
            throw PlanFault(.childWaits, "the child waits for \(message)" + child.found)
        }
        if let message = runtime.inbox.first ?? child.inbox.first {
            throw PlanFault(.unreceived, "nobody receives \(message)")
        }
    }
}

/// One side of the rendezvous.
private struct Side {
    var exchanges: [Exchange] = []
    private var place = 0
    /// Messages that the other side has sent and this one has not received.
    private(set) var inbox: ArraySlice<Message> = []

    /// Sends and receives as far as possible; returns false if it cannot advance.
    mutating func advance(to other: inout Side) -> Bool {
        let start = place
        while place < exchanges.count {
            switch exchanges[place] {
            case .sends(let message): other.inbox.append(message)
            case .receives(let message):
                guard inbox.first == message else { return place > start }
                inbox.removeFirst()
            }
            place += 1
        }
        return place > start
    }

    /// The message that it waits for.
    var awaited: Message? {
        guard place < exchanges.count, case .receives(let message) = exchanges[place] else {
            return nil
        }
        return message
    }

    /// The message that it gets instead, for an error.
    var found: String { inbox.first.map { ", and gets \($0)" } ?? "" }
}

extension InheritedDescriptor {
    /// Whether starting the child provides this descriptor: streams that the caller chose, and the
    /// gaps between all others.
    fileprivate var isMadeByStart: Bool {
        switch self {
        case .standardStream, .gapStart, .gapEnd: true
        case .rendezvous, .startSocket, .rootfsTree, .mountTree, .cgroupTree, .cgroupTasks,
            .cgroupDirectory, .namespace, .process, .rootOfInit, .consoleSocket, .copySource,
            .copyTarget, .kept:
            false
        }
    }
}
#endif
