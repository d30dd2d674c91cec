// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import SystemPackage

/// A process that kills another one if this one dies, also by SIGKILL.
///
/// Restored processes are stopped until they have been compared with the config, and go on when CRIU does:
/// without somebody who is left, the death of the runtime would let them run unseen.
final class Guardian {
    private var helper: HelperChild?
    private var pidfd: CInt = -1

    /// Guards a process, by its pidfd, until `dismiss`.
    ///
    /// - Throws: the refusal of a call.
    init(over process: CInt) throws(ContainerError) {
        var helper = try reporting { () throws(SystemCallError) in try HelperChild() }
        do throws(SystemCallError) {
            pidfd = try helper.start(.guardian, inputs: [.kept(0): process]).pidfd
        } catch {
            throw ContainerError(error, "unable to start the process that guards another one")
        }
        self.helper = consume helper
    }

    /// Leaves the other process to itself.
    func dismiss() {
        guard pidfd >= 0 else { return }
        // Before it sees the end of the rendezvous.
        try? sendSignal(pidfd, Signal.kill.rawValue)
        _ = try? waitProcess(pidfd)
        _ = OwnedDescriptor(taking: pidfd)
        pidfd = -1
        helper = nil
    }

    deinit {
        dismiss()
    }
}
