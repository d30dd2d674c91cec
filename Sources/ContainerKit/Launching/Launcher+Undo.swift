// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import Logging

/// The actions that undo the steps of a launch.
struct UndoList {
    typealias Undo = (Launcher) -> Void

    /// Actions that need the launch's descriptors, such as the child's pidfd.
    fileprivate(set) var whileOpen: [Undo] = []
    /// Actions after the launch's descriptors are closed: if descriptors have run out, these free
    /// some.
    fileprivate(set) var afterwards: [Undo] = []
}

extension Launcher {
    /// Adds an action that undoes what a step is about to do, or has done.
    func takeBackOnFailure(whileOpen: Bool = false, _ undo: @escaping UndoList.Undo) {
        if whileOpen { undoList.whileOpen.append(undo) } else { undoList.afterwards.append(undo) }
    }

    /// Runs the actions, the last one first; an error does not stop the others.
    func undo() {
        systemd?.limit = nil
        for undo in undoList.whileOpen.reversed() { undo(self) }
        closeAll()
        for undo in undoList.afterwards.reversed() { undo(self) }
        undoList = UndoList()
    }

    /// Kills the child and waits for its end.
    func killChild() {
        if let (start, begun) = startingChild { start.abandon(begun) }
        startingChild = nil
        // A second process that is not adopted yet ends by itself.
        progress?.tell(.second, goOn: false)
        guard pidfd >= 0 else { return }
        try? sendSignal(pidfd, Signal.kill.rawValue)
        // In a frozen v1 cgroup, or in a call of the kernel's that nothing ends, it dies later.
        if options.timeLimit != nil, !killedEnds(pidfd, pid) {
            stuckChild = pid
            StuckChildren.add(pidfd)
            return
        }
        _ = try? waitProcess(pidfd)
    }

    /// An error of a launch that is undone, which also names the process that is left.
    func namingStuckChild(in error: ContainerError) -> ContainerError {
        guard let stuckChild else { return error }
        var hint = stuckHint(stuckChild)
        if let record { hint += "; after that, delete --force \(record.id) removes the rest" }
        return error.with(hint: [error.hint, hint].compactMap(\.self).joined(separator: "; "))
    }

    /// Removes the state directory, then runs the poststop hooks, unless another launch follows.
    ///
    /// As long as init does not end, both are left to `delete`.
    func removeState() {
        if stuckChild != nil { return }
        try? state?.remove()
        if isToBeTriedAgain || isToBeSealed || wasDeleted { return }
        let logger = options.logger
        record?.runPoststopHooks { logger.warning("\($0)") }
    }
}
#endif
