// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import SystemPackage

/// A process that kills restored processes, and then CRIU, if this one dies, even by SIGKILL.
///
/// Restored processes are stopped until they have been compared with the config. If the runtime
/// died in between, CRIU would let them run unchecked.
final class Guardian {
    private var helper: HelperChild?
    private var pidfd: CInt = -1

    /// Guards the processes of two pidfds until `dismiss`.
    ///
    /// - Parameters:
    ///   - process: the first restored process.
    ///   - criu: the CRIU that restores it.
    ///   - socket: this process's end of CRIU's socket, which the guardian shares.
    /// - Throws: the refusal of a call.
    init(over process: CInt, restoredBy criu: CInt, socket: CInt) throws(ContainerError) {
        var helper = try reporting { () throws(SystemCallError) in try HelperChild() }
        do throws(SystemCallError) {
            let inputs: DescriptorTable<CInt> = [
                .kept(0): process, .kept(1): criu, .kept(2): socket,
            ]
            pidfd = try helper.start(.guardian, inputs: inputs).pidfd
        } catch {
            throw ContainerError(error, "unable to start the process that guards another one")
        }
        self.helper = consume helper
    }

    /// Stops guarding; the other process is left alone.
    func dismiss() {
        guard pidfd >= 0 else { return }
        // Kill the guardian before it sees the rendezvous close.
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
#endif
