// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

extension Host {
    /// Whether the program is installed, and an ordinary user may create network devices with it.
    static func makesDevices(_ program: String) -> ConditionTrait {
        var tun = stat()
        let isOpen = stat("/dev/net/tun", &tun) == 0 && tun.st_mode & 0o006 == 0o006
        return .enabled(
            if: isOpen && access(program, X_OK) == 0,
            "needs \(program), and a /dev/net/tun that everybody may open")
    }
}

/// Programs that connect the network namespace of an ordinary user's container with the outside.
@Suite("An ordinary user's network", Host.rootless)
struct UserNetworkTests {
    /// A container with its own network namespace.
    private func start(_ bundle: TestBundle) throws -> Int {
        try bundle.makeRootless()
        bundle.setNamespace(.network)
        try bundle.startSleepingAsUser()
        return try bundle.state().pid
    }

    /// The container's network devices while a program is attached to its pid.
    private func attach(_ words: (Int) -> [String]) throws -> String {
        try TestBundle.use { bundle throws in
            let program = try RunningCommand(
                TestBundle.setpriv() + words(start(bundle)), token: bundle.token)
            let found = try device(bundle)
            kill(program.pid, SIGKILL)
            _ = try program.wait()
            return found
        }
    }

    /// Waits until a device other than `lo` has an address, and returns the output about it.
    private func device(_ bundle: TestBundle) throws -> String {
        let script =
            "i=0; while [ $i -lt 300 ]; do i=$((i+1)); "
            + "busybox ip -4 addr | grep -v 127.0.0.1 | grep inet && exit; "
            + "busybox usleep 100000; done; busybox ip addr"
        return try bundle.asUser("exec", bundle.id, "/bin/sh", "-c", script).text
    }

    @Test(
        "slirp4netns can attach to the pid of an ordinary user's container",
        Host.makesDevices("/usr/bin/slirp4netns"))
    func slirp() throws {
        let found = try attach { ["/usr/bin/slirp4netns", "--configure", "\($0)", "tap0"] }
        // It sets the length of the prefix a moment after the address.
        #expect(found.contains("inet 10.0.2.100/") && found.contains("tap0"), "\(found)")
    }

    @Test(
        "pasta can attach to the pid of an ordinary user's container",
        Host.makesDevices("/usr/bin/pasta"))
    func pasta() throws {
        let found = try attach { ["/usr/bin/pasta", "--foreground", "--config-net", "\($0)"] }
        #expect(found.contains("inet ") && !found.contains("127.0.0.1"), "\(found)")
    }
}
