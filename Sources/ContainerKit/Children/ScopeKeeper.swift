// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import SystemPackage

/// A process that is in a scope until init is: systemd neither makes a scope without a process nor
/// keeps one that has become empty.
///
/// It ends with its owner; also when that is killed, since it waits for the end of a socket.
final class ScopeKeeper {
    /// Its number, as systemd is told.
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

    /// Lets the process end, and takes it out of the process table.
    func end() {
        helper = nil
        guard pidfd >= 0 else { return }
        // Also out of a frozen or starved cgroup.
        try? sendSignal(pidfd, Signal.kill.rawValue)
        _ = try? waitProcess(pidfd)
        _ = OwnedDescriptor(taking: pidfd)
        pidfd = -1
    }

    deinit {
        end()
    }
}
