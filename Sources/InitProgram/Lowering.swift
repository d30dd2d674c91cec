// SPDX-License-Identifier: Apache-2.0

// Lowering turns each step into a few instructions, in the file of its theme. LoweringState holds
// what one lowering needs to know of the others.

#if os(Linux)
/// The state that one step's lowering passes to the next.
package struct LoweringState {
    /// The cell of the directory that paths are resolved below; nil until a step sets it.
    var openedRoot: Cell?

    /// The cell of the root directory; only for steps after it is set.
    ///
    /// A plan that uses it earlier is our mistake: stopping is better than leaving the step out.
    var root: Cell {
        guard let openedRoot else {
            preconditionFailure("a path is resolved before there is a root")
        }
        return openedRoot
    }
    /// The cell of the Landlock ruleset; nil until a step makes it.
    var openedRuleset: Cell?

    /// The Landlock ruleset; only for steps after it is made.
    var ruleset: Cell {
        guard let openedRuleset else {
            preconditionFailure("a rule is added before there is a ruleset")
        }
        return openedRuleset
    }
    /// The mounts, with their descriptors, that later steps change or make files in.
    private var mounts: [(path: String, tree: Cell)] = []
    /// The destinations of those mounts.
    private let keptPaths: [String]
    /// The host's procfs, between the step that opens it and the step that uses it.
    var hostProc: Cell?
    /// The connection of `start`, once it is accepted.
    var startConnection: Cell?
    /// The offset of each filter in the data: a program may load one in several processes.
    var filters: [(filter: [UInt8], offset: Int)] = []
    /// The cell with the result of `tryDirectory`.
    var triedDirectory: Cell?
    /// The cells with the results of checking each candidate for the executable.
    var executableChecks: [Cell] = []

    init(of steps: [InitStep] = []) {
        keptPaths = steps.compactMap(\.usedMount)
    }

    /// Keeps the descriptor of an attached mount if a later step needs it, or closes it.
    ///
    /// There may be more mounts than the descriptors that a process may have.
    mutating func attached(_ tree: Cell, at path: String, in code: inout Assembler) {
        if keptPaths.contains(where: { $0.isSame(path) }) {
            mounts.append((path, tree))
        } else {
            code.close(tree)
        }
    }

    /// The mount attached last at this destination, for a step with this `usedMount`.
    func mount(at path: String) -> Cell? {
        mounts.last { $0.path.isSame(path) }?.tree
    }
}

extension ProgramImage {
    /// Lowers `steps` to a program.
    ///
    /// The last step must be `execute`.
    ///
    /// - Parameters:
    ///   - steps: the steps.
    ///   - isTimed: whether the program notes when its steps begin: see `TimeMark`.
    package init(lowering steps: [InitStep], isTimed: Bool = false) {
        var code = Assembler()
        var state = LoweringState(of: steps)
        let marked = isTimed ? TimeMark.steps(of: steps) : []
        var marks = marked.enumerated().makeIterator()
        var next = marks.next()
        for (index, step) in steps.enumerated() {
            code.beginStep(index)
            if let mark = next, mark.element == index {
                code.noteTime(mark.offset)
                next = marks.next()
            }
            step.lower(into: &code, &state)
        }
        // A skip reads eight bytes at a time, also at the end of the data.
        _ = code.reserve(8)
        self = code.image
        timedSteps = marked
    }
}
#endif
