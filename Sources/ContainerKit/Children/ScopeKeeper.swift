// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import SystemPackage

/// A process that stays in a scope until init is in it: systemd neither makes a scope without a
/// process nor keeps an empty one.
///
/// It ends with its owner, even if that is killed, since it waits for a socket to close; unless it is
/// told to stay.
final class ScopeKeeper {
    /// The pid, which systemd needs.
    private(set) var pid: Int32 = 0
    private var pidfd: CInt = -1
    private var helper: HelperChild?

    init() throws(ContainerError) {
        var helper = try reporting { () throws(SystemCallError) in try HelperChild() }
        do throws(SystemCallError) {
            let child = try helper.start(.scopeKeeper)
            (pid, pidfd) = (child.pid, child.pidfd)
        } catch {
            throw ContainerError(
                error, "unable to start the process that keeps the scope",
                field: "linux.cgroupsPath")
        }
        self.helper = consume helper
    }

    /// Leaves a process in its place that belongs to nobody, until it is killed.
    func stay() throws(ContainerError) {
        do throws(SystemCallError) {
            try helper?.replaceByOrphan(pidfd)
        } catch {
            throw ContainerError(
                error, "unable to leave a process in the scope", field: "linux.cgroupsPath")
        }
        end()
    }

    /// Ends the process and waits for it.
    func end() {
        helper = nil
        guard pidfd >= 0 else { return }
        // SIGKILL also ends a process in a frozen or starved cgroup.
        try? sendSignal(pidfd, Signal.kill.rawValue)
        _ = try? waitProcess(pidfd)
        _ = OwnedDescriptor(taking: pidfd)
        pidfd = -1
    }

    deinit {
        end()
    }
}
#endif
