// SPDX-License-Identifier: Apache-2.0

import InitProgram
import KernelVocabulary
import Testing

@testable import ContainerKit

/// One change that makes a valid plan invalid.
struct BrokenPlan: Sendable, CustomTestStringConvertible {
    struct Columns {
        var parent: [PlannedParentStep]
        var child: [PlannedStep]
        var later: [PlannedParentStep]
    }

    var name: String
    var kind: PlanFault.Kind
    /// The text of the fault.
    var text: String
    var change: @Sendable (inout Columns) throws -> Void

    var testDescription: String { name }
}

extension [PlannedParentStep] {
    fileprivate func place(of step: ParentStep) throws -> Int {
        try #require(firstIndex { $0.step == step }, "the plan has no step: \(step)")
    }

    fileprivate func start() throws -> Int {
        try #require(
            firstIndex { if case .child(.start) = $0.step { true } else { false } })
    }

    fileprivate mutating func move(_ step: ParentStep, behind other: Int) throws {
        let moved = remove(at: try place(of: step))
        insert(moved, at: other)
    }
}

extension [PlannedStep] {
    fileprivate func place(of step: InitStep) throws -> Int {
        try #require(firstIndex { $0.step == step }, "the plan has no step: \(step)")
    }

    /// Adds an action to each hook's process.
    fileprivate mutating func prepareHooks(with step: InitStep) throws {
        var hooks = 0
        for index in indices {
            guard
                case .hook(.runHook(let hook, let steps, let filtered, let channel)) =
                    self[index].step
            else { continue }
            hooks += 1
            self[index] = PlannedStep(
                self[index].origin,
                .hook(
                    .runHook(
                        hook, preparing: steps + [step], underFilter: filtered, over: channel)))
        }
        try #require(hooks > 0)
    }
}

extension BrokenPlan {
    static let all = childStarts + descriptors + hooks + rulesets + ends + waits

    private static let childStarts: [BrokenPlan] = [
        BrokenPlan(name: "started twice", kind: .childStart, text: "was not started") {
            $0.parent.insert($0.parent[try $0.parent.start()], at: 0)
        },
        BrokenPlan(
            name: "never taken over", kind: .childStart, text: "before the child is taken over: "
        ) {
            $0.parent.remove(at: try $0.parent.place(of: .child(.take)))
        },
        BrokenPlan(name: "taken over first", kind: .childStart, text: "was not started") {
            try $0.parent.move(.child(.take), behind: 0)
        },
        BrokenPlan(name: "taken over twice", kind: .childStart, text: "taken over 2 times") {
            let take = try $0.parent.place(of: .child(.take))
            $0.parent.insert($0.parent[take], at: take)
        },
        BrokenPlan(
            name: "told before it is taken over", kind: .childStart,
            text:
                "before the child is taken over: release the child: the second process is taken over"
        ) {
            $0.parent.insert(
                PlannedParentStep(.runtime, .child(.release(.adopted))),
                at: try $0.parent.start() + 1)
        },
    ]

    private static let descriptors: [BrokenPlan] = [
        BrokenPlan(
            name: "a descriptor that nobody opens", kind: .missingDescriptor,
            text: "nothing opens startSocket for the child"
        ) {
            $0.parent.remove(at: try $0.parent.place(of: .socket(.listenForStart)))
        },
        BrokenPlan(
            name: "a descriptor that is opened too late", kind: .missingDescriptor,
            text: "nothing opens startSocket for the child"
        ) {
            try $0.parent.move(.socket(.listenForStart), behind: try $0.parent.start())
        },
    ]

    private static let hooks: [BrokenPlan] = [
        BrokenPlan(
            name: "a hook's filter with a listener", kind: .hookPreparation,
            text: "give its listener to the runtime"
        ) {
            try $0.child.prepareHooks(
                with: .filter(
                    .loadSeccomp(
                        filter: [UInt8](repeating: 0, count: 8), flags: .newListener,
                        listener: .rendezvous)))
        },
        BrokenPlan(
            name: "a hook's step with a descriptor", kind: .hookPreparation,
            text: "take over standard streams 0"
        ) {
            try $0.child.prepareHooks(with: .stream(.setStandardStreams([0])))
        },
    ]

    private static let ruleset = PlannedStep(
        .runtime,
        .landlock(
            .makeRuleset(LandlockRights(files: .execute, ports: .empty, scopes: .empty))))
    private static let restriction = PlannedStep(.runtime, .landlock(.restrict))

    private static let rulesets: [BrokenPlan] = [
        BrokenPlan(
            name: "rules without a ruleset", kind: .ruleset, text: "without a ruleset: put this"
        ) {
            $0.child.insert(restriction, at: 0)
        },
        BrokenPlan(
            name: "a ruleset without effect", kind: .ruleset, text: "a ruleset is made that never"
        ) {
            $0.child.insert(ruleset, at: 0)
        },
        BrokenPlan(
            name: "a ruleset behind the filter", kind: .ruleset, text: "after the filter: put this"
        ) {
            $0.child.insert(contentsOf: [ruleset, restriction], at: $0.child.count - 1)
        },
    ]

    private static let ends: [BrokenPlan] = [
        BrokenPlan(
            name: "a step after the program", kind: .end,
            text: "follows the program: give all signals"
        ) {
            $0.child.append(PlannedStep(.runtime, .process(.resetSignals)))
        },
        BrokenPlan(name: "no program", kind: .end, text: "never executes") {
            $0.child.removeLast()
        },
    ]

    private static let waits: [BrokenPlan] = [
        BrokenPlan(
            name: "a report that does not come", kind: .runtimeWaits,
            text: "the runtime waits for the report that "
        ) {
            $0.child.remove(at: try $0.child.place(of: .exchange(.reportToParent(.ready))))
        },
        BrokenPlan(
            name: "reports in another order", kind: .runtimeWaits,
            text: ", and gets the report that "
        ) {
            let ready = try $0.child.place(of: .exchange(.reportToParent(.ready)))
            $0.child.swapAt(ready, try $0.child.place(of: .exchange(.reportToParent(.mounted))))
        },
        BrokenPlan(
            name: "an end of a hook before its streams", kind: .runtimeWaits,
            text: "the runtime waits for the end of the hook /h/container"
        ) {
            $0.parent.remove(at: try $0.parent.place(of: .child(.release(.hooked))))
        },
        BrokenPlan(
            name: "a release that does not come", kind: .childWaits,
            text: "the child waits for the word to go on: start"
        ) {
            $0.later = []
        },
        BrokenPlan(
            name: "another release", kind: .childWaits,
            text: "gets the word to go on: its user namespace has its ID maps"
        ) {
            $0.later = [PlannedParentStep(.runtime, .child(.release(.userMapped)))]
        },
        BrokenPlan(
            name: "a release that nobody waits for", kind: .unreceived,
            text: "nobody receives the word to go on: the second process is taken over"
        ) {
            $0.later.append(PlannedParentStep(.runtime, .child(.release(.adopted))))
        },
        BrokenPlan(
            name: "an end that nobody waits for", kind: .unreceived,
            text: "nobody receives the beginning of the program"
        ) {
            $0.later.remove(at: try $0.later.place(of: .child(.awaitExecution)))
        },
    ]
}

@Suite("The check of a plan")
struct LaunchPlanCheckTests {
    @Test("the plan checker accepts every plan that the planner makes", arguments: PlanCase.all)
    func fits(_ example: PlanCase) throws {
        let plan = try example.plan()
        try plan.check()
    }

    @Test(
        "the plan checker refuses a plan with one broken part, and says which",
        arguments: BrokenPlan.all)
    func refuses(_ broken: BrokenPlan) throws {
        let plan = try #require(PlanCase.all.first { $0.name == "hooks-of-create" }).plan()
        var columns = BrokenPlan.Columns(
            parent: plan.parentSteps, child: plan.childSteps, later: plan.laterSteps)
        try broken.change(&columns)
        let changed = LaunchPlan(
            parentSteps: columns.parent, childSteps: columns.child, laterSteps: columns.later)
        let fault = try #require(throws: PlanFault.self) {
            try changed.check()
        }
        #expect(fault.kind == broken.kind && fault.description.contains(broken.text), "\(fault)")
    }

    @Test("every kind of fault is covered by a broken plan")
    func kinds() {
        #expect(Set(BrokenPlan.all.map(\.kind)) == Set(PlanFault.Kind.allCases))
    }
}
