// SPDX-License-Identifier: Apache-2.0

internal import InitProgram

/// Why the two columns of a plan do not fit each other: a mistake of ours.
struct PlanFault: Error, Equatable, Sendable, CustomStringConvertible {
    let description: String
}

extension LaunchPlan {
    /// Checks, before there is a child, that it would neither lack a descriptor nor wait for ever.
    ///
    /// - Throws: the first fault.
    func check() throws(PlanFault) {
        try checkInputs()
        try checkExchanges()
    }

    /// Each descriptor that the child's program names is opened before its clone.
    private func checkInputs() throws(PlanFault) {
        var provided: [InheritedDescriptor] = []
        for planned in parentSteps {
            provided += planned.step.action.provides
            if case .child(.start) = planned.step { break }
        }
        for planned in childSteps {
            for input in planned.step.inputs where !input.isMadeByStart {
                guard provided.contains(input) else {
                    throw PlanFault(description: "nothing opens \(input) for the child")
                }
            }
            if let opened = planned.step.opened { provided.append(opened) }
        }
    }

    /// Each message has its sender and its receiver, in an order in which neither waits for ever.
    private func checkExchanges() throws(PlanFault) {
        var runtime = Side(
            exchanges: (parentSteps + laterSteps).flatMap { $0.step.action.exchanges })
        var child = Side(exchanges: childSteps.flatMap { $0.step.exchanges })
        // Each goes on until it waits for what the other has not sent yet.
        while runtime.advance(to: &child) || child.advance(to: &runtime) {}
        if let message = runtime.awaited {
            throw PlanFault(description: "the runtime waits for \(message)" + runtime.found)
        }
        if let message = child.awaited {
            throw PlanFault(description: "the child waits for \(message)" + child.found)
        }
        if let message = runtime.inbox.first ?? child.inbox.first {
            throw PlanFault(description: "nobody receives \(message)")
        }
    }
}

/// One side of the rendezvous.
private struct Side {
    let exchanges: [Exchange]
    private var place = 0
    /// What the other has sent and this has not received.
    private(set) var inbox: ArraySlice<Message> = []

    init(exchanges: [Exchange]) {
        self.exchanges = exchanges
    }

    /// Sends and receives as far as possible; false where that is nowhere.
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

    /// What it waits for.
    var awaited: Message? {
        guard place < exchanges.count, case .receives(let message) = exchanges[place] else {
            return nil
        }
        return message
    }

    /// What it gets instead, in words.
    var found: String { inbox.first.map { ", and gets \($0)" } ?? "" }
}

extension InheritedDescriptor {
    /// Whether the start of the child itself makes it: streams that the caller chose, and the gaps between
    /// all others.
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
