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
    private var rendezvous: CInt = -1

    init() throws(ContainerError) {
        let pair = try reporting { () throws(SystemCallError) in try socketPair() }
        let (own, theirs) = pair.numbers()
        rendezvous = own
        let childEnd = OwnedDescriptor(taking: theirs)
        var inputs: DescriptorTable<CInt> = [.rendezvous: theirs]
        inputs[.gapStart(phase: 0, 0)] = 0
        inputs[.gapEnd(phase: 0, 0)] = theirs - 1
        inputs[.gapStart(phase: 0, 1)] = theirs + 1
        inputs[.gapEnd(phase: 0, 1)] = CInt.max
        let page = try reporting { () throws(SystemCallError) in try ProgressPage.inMemory() }
        do throws(SystemCallError) {
            let child = try ChildStart(.scopeKeeper, inputs: inputs, page).start()
            (pid, pidfd) = (child.pid, child.pidfd)
        } catch {
            throw ContainerError(
                error, "unable to start the process that keeps the scope",
                field: "linux.cgroupsPath")
        }
        withExtendedLifetime(childEnd) {}
    }

    /// Lets the process end, and takes it out of the process table.
    func end() {
        if rendezvous >= 0 { _ = OwnedDescriptor(taking: rendezvous) }
        rendezvous = -1
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
