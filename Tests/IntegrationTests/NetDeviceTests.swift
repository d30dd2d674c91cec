// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// A pair of virtual devices, the first with addresses and up; removed at the end of a test.
private final class DevicePair {
    let name: String
    let peer: String

    static let tool: String? = {
        let places: [String] = ["/usr/sbin/ip", "/sbin/ip", "/bin/ip"]
        return places.first { access($0, X_OK) == 0 }
    }()

    /// Whether this kernel can create such pairs.
    static let areThere: Bool = {
        guard Host.isRoot, tool != nil, let pair = try? DevicePair("probe") else { return false }
        return exists("/sys/class/net/\(pair.name)")
    }()

    init(_ token: String) throws {
        name = "sw" + token.suffix(6) + "a"
        peer = "sw" + token.suffix(6) + "b"
        try check(Self.ip("link", "add", name, "type", "veth", "peer", "name", peer), "ip link")
        try check(Self.ip("address", "add", "10.98.7.5/24", "dev", name), "ip address")
        try check(Self.ip("-6", "address", "add", "fd00:98::5/64", "dev", name), "ip address")
        try check(Self.ip("link", "set", name, "mtu", "1400", "up"), "ip link set")
    }

    deinit {
        _ = try? Self.ip("link", "delete", peer)
    }

    @discardableResult
    static func ip(_ words: String...) throws -> Int32 {
        let call: [String] = [tool ?? "ip"] + words
        let done = try RunningCommand(call, token: "none").wait()
        return done.status == 0 ? 0 : -1
    }

    /// The output of `ip address` for the device; empty if it is not in this namespace.
    var addresses: String {
        get throws {
            let words = [Self.tool ?? "ip", "address", "show", "dev", name]
            return try RunningCommand(words, token: "none").wait().text
        }
    }
}

@Suite(
    "Network devices", Host.root, .enabled(if: DevicePair.areThere, "needs ip and veth devices"))
struct NetDeviceTests {
    @Test("a network device moves into the container with its addresses, is renamed and is up")
    func moves() throws {
        try TestBundle.use { bundle throws in
            let pair = try DevicePair(bundle.token)
            bundle.linux.netDevices = [pair.name: NetDevice(name: "ctr0")]
            let inside = try bundle.output(
                of: "ifconfig ctr0; cat /proc/net/if_inet6; cat /sys/class/net/ctr0/mtu")
            #expect(inside.contains("inet addr:10.98.7.5") && inside.contains("UP"), "\(inside)")
            #expect(inside.contains("Mask:255.255.255.0"), "\(inside)")
            #expect(inside.contains("fd000098000000000000000000000005"), "\(inside)")
            #expect(inside.lines.last == "1400")
        }
    }

    @Test("devices that a hook made are not in a checkpoint: it makes them again", Criu.needed)
    func hookAtRestore() throws {
        try TestBundle.use { bundle throws in
            let tool = DevicePair.tool ?? "ip"
            let name = "sw" + bundle.token.suffix(6) + "h"
            let script =
                "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); "
                + "\(tool) link add \(name) type veth peer name eth0 netns $pid"
            bundle.spec.hooks = Hooks(prestart: [Hook(path: "/bin/sh", args: ["sh", "-c", script])])
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            #expect(waits(5) { !exists("/sys/class/net/\(name)") })
            let restored = try bundle.restore()
            #expect(restored.status == 0, "\(restored)\n\(bundle.log("restore"))")
            #expect(bundle.counts())
            let look = try bundle.swrunc("exec", bundle.id, "ls", "/sys/class/net")
            #expect(look.output.contains("eth0"), "\(look)")
        }
    }

    @Test("a network device moves into a joined network namespace")
    func joined() throws {
        try TestBundle.use { bundle throws in
            let pair = try DevicePair(bundle.token)
            try bundle.startSleeping(id: "\(bundle.id)-holder")
            let pid = try bundle.state("\(bundle.id)-holder").pid
            bundle.setNamespace(.network, path: "/proc/\(pid)/ns/net")
            bundle.setNamespace(.pid, path: "/proc/\(pid)/ns/pid")
            bundle.linux.netDevices = [pair.name: NetDevice()]
            let inside = try bundle.output(of: "ifconfig \(pair.name)")
            #expect(inside.contains("inet addr:10.98.7.5"), "\(inside)")
        }
    }

    @Test("a failed create returns the network device unchanged")
    func takenBack() throws {
        try TestBundle.use { bundle throws in
            let pair = try DevicePair(bundle.token)
            let before = try pair.addresses
            bundle.linux.netDevices = [pair.name: NetDevice(name: "ctr0")]
            bundle.process.args = ["/bin/none"]
            bundle.expectFailure(try bundle.run(), naming: ["/bin/none"])
            let after = try pair.addresses
            for word in ["10.98.7.5/24", "fd00:98::5/64", "mtu 1400", ",UP"] {
                #expect(before.contains(word) && after.contains(word), "\(word): \(after)")
            }
        }
    }

    @Test("a missing network device is named, and the devices moved before are returned")
    func missing() throws {
        try TestBundle.use { bundle throws in
            let pair = try DevicePair(bundle.token)
            bundle.linux.netDevices = [pair.name: NetDevice(), "zz-none0": NetDevice()]
            bundle.script("true")
            bundle.expectFailure(
                try bundle.run(),
                naming: ["linux.netDevices.zz-none0", "there is no network device \"zz-none0\""])
            #expect(try pair.addresses.contains("10.98.7.5/24"))
        }
    }

    @Test("a network device name that is taken in the container is refused")
    func taken() throws {
        try TestBundle.use { bundle throws in
            let pair = try DevicePair(bundle.token)
            bundle.linux.netDevices = [pair.name: NetDevice(name: "lo")]
            bundle.script("true")
            bundle.expectFailure(
                try bundle.run(),
                naming: ["linux.netDevices.\(pair.name)", "\"lo\"", "file exists"])
            #expect(try pair.addresses.contains("10.98.7.5/24"))
        }
    }

    @Test("moving network devices is refused if the joined namespace is the runtime's own")
    func ownNamespace() throws {
        try TestBundle.use { bundle throws in
            let pair = try DevicePair(bundle.token)
            bundle.setNamespace(.network, path: "/proc/self/ns/net")
            bundle.linux.netDevices = [pair.name: NetDevice(name: "ctr0")]
            bundle.script("true")
            bundle.expectFailure(try bundle.run(), naming: ["the runtime's own network namespace"])
            #expect(try pair.addresses.contains("10.98.7.5/24"))
        }
    }
}
