// SPDX-License-Identifier: Apache-2.0

// Lowering: each step becomes a handful of instructions, mechanically, in the file of its theme. What a lowering
// needs to know of the others stands in LoweringState.

/// What flows from one step's lowering to the next.
package struct LoweringState {
    /// The cell of the root directory that paths are resolved in, once a step has made it.
    var openedRoot: Cell?

    /// The root for a step that needs it.
    ///
    /// A plan in which no step has made it is a mistake of ours: to
    /// leave the step out would be worse than to stop.
    var root: Cell {
        guard let openedRoot else {
            preconditionFailure("a path is resolved before there is a root")
        }
        return openedRoot
    }
    /// Mounts that later steps change or make things in, with their descriptors.
    private var mounts: [(path: String, tree: Cell)] = []
    /// Where those mounts go.
    private let keptPaths: Set<String>
    /// The host's procfs, from the step that opens it to the one that uses it.
    var hostProc: Cell?
    /// The connection of `start`, once it is there.
    var startConnection: Cell?
    /// Where each filter stands in the data: a program may load one in several processes.
    var filters: [(filter: [UInt8], offset: Int)] = []
    /// The cell with the result of `tryDirectory`.
    var triedDirectory: Cell?
    /// Cells with the result of looking for each executable candidate.
    var executableChecks: [Cell] = []

    init(of steps: [InitStep] = []) {
        keptPaths = Set(steps.compactMap(\.usedMount))
    }

    /// Keeps the descriptor of a mount that is in its place, or closes it: there may be more mounts than
    /// a process may have descriptors.
    mutating func attached(_ tree: Cell, at path: String, in code: inout Assembler) {
        if keptPaths.contains(path) {
            mounts.append((path, tree))
        } else {
            code.close(tree)
        }
    }

    /// The mount that was attached last at a destination, for a step that has it as its `usedMount`.
    func mount(at path: String) -> Cell? {
        mounts.last { $0.path.isSame(path) }?.tree
    }
}

extension ProgramImage {
    /// Lowers `steps` to a program.
    ///
    /// The last step must be `execute`.
    package init(lowering steps: [InitStep]) {
        var code = Assembler()
        var state = LoweringState(of: steps)
        for (index, step) in steps.enumerated() {
            code.beginStep(index)
            step.lower(into: &code, &state)
        }
        // A skip reads eight bytes at a time, also at the end of the data.
        _ = code.reserve(8)
        self = code.image
    }
}
