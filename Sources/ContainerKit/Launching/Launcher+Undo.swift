// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import Logging

/// What takes back what the steps of a launch did.
struct UndoList {
    typealias Undo = (Launcher) -> Void

    /// What needs the launch's descriptors, the child among them.
    fileprivate(set) var whileOpen: [Undo] = []
    /// What is undone after the launch's descriptors were closed: where they have run out, it needs some of
    /// them.
    fileprivate(set) var afterwards: [Undo] = []
}

extension Launcher {
    /// Says how to take back what a step is about to do, or has done.
    func takeBackOnFailure(whileOpen: Bool = false, _ undo: @escaping UndoList.Undo) {
        if whileOpen { undoList.whileOpen.append(undo) } else { undoList.afterwards.append(undo) }
    }

    /// Takes back what was done, the last first; an error on the way leaves the rest to be tried.
    func undo() {
        for undo in undoList.whileOpen.reversed() { undo(self) }
        closeAll()
        for undo in undoList.afterwards.reversed() { undo(self) }
        undoList = UndoList()
    }

    /// Kills and reaps what was started.
    func killChild() {
        if let (start, begun) = birth { start.abandon(begun) }
        birth = nil
        // One that is not adopted yet ends by itself.
        progress?.tell(.second, goOn: false)
        guard pidfd >= 0 else { return }
        try? sendSignal(pidfd, Signal.kill.rawValue)
        _ = try? waitProcess(pidfd)
    }

    /// Removes the state directory; its hooks run after that, unless there will be another launch.
    func removeState() {
        try? state?.remove()
        if isToBeTriedAgain || isToBeSealed || wasDeleted { return }
        let logger = options.logger
        record?.runPoststopHooks { logger.warning("\($0)") }
    }
}
