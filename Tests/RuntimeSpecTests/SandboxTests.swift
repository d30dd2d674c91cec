// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RuntimeSpec

@Suite("The config of a sandbox")
struct SandboxTests {
    @Test("a sandbox config made from a program alone is valid")
    func minimal() throws {
        let spec = try Spec.sandbox(["true"])
        try spec.check()
        #expect(spec.root == Root(path: "rootfs", readonly: true))
        #expect(spec.process?.args == ["true"])
        #expect(spec.process?.noNewPrivileges == true && spec.process?.terminal == false)
        #expect(spec.process?.user == User())
        #expect(
            spec.linux?.resources
                == Resources(devices: [DeviceCgroupRule(allow: false, access: "rwm")]))
        #expect(spec.linux?.seccomp == .sandbox())
    }

    @Test("limits, root and user of a sandbox are in their fields of the config")
    func given() throws {
        let spec = try Spec.sandbox(
            ["a", "b"], rootfs: "/images/a", readonly: false, memory: 64 << 20, pids: 32, cpus: 1.5,
            user: User(uid: 1000, gid: 1000, additionalGids: [5]))
        try spec.check()
        #expect(spec.root == Root(path: "/images/a", readonly: false))
        #expect(
            spec.linux?.resources?.memory == MemoryResources(limit: 64 << 20, swap: 64 << 20))
        #expect(spec.linux?.resources?.pids == PidsResources(limit: 32))
        #expect(spec.linux?.resources?.cpu == CPUResources(quota: 150_000, period: 100_000))
        #expect(spec.process?.user == User(uid: 1000, gid: 1000, additionalGids: [5]))
    }

    @Test("root in a sandbox has the capabilities, another user only a bounding set of them")
    func capabilities() throws {
        let root = try #require(Spec.sandbox(["a"]).process?.capabilities)
        #expect(root.bounding?.count == 14)
        #expect(root.effective == root.bounding && root.permitted == root.bounding)
        #expect(root.inheritable == nil && root.ambient == nil)
        let user = try #require(Spec.sandbox(["a"], user: User(uid: 7)).process?.capabilities)
        #expect(user.bounding == root.bounding)
        #expect(user.effective == nil && user.permitted == nil)
        for name in root.bounding ?? [] { #expect(Capability(name: name) != nil, "\(name)") }
        let refused = [
            "CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_MODULE", "CAP_BPF",
            "CAP_DAC_READ_SEARCH",
        ]
        #expect(Set(root.bounding ?? []).isDisjoint(with: refused))
    }

    @Test("the network of a sandbox is an empty one, the host's, or an existing namespace")
    func networks() throws {
        func network(_ network: Spec.SandboxNetwork) throws -> Namespace? {
            try Spec.sandbox(["a"], network: network).linux?.namespace(.network)
        }
        #expect(try network(.none) == Namespace(kind: .network))
        #expect(try network(.host) == nil)
        #expect(
            try network(.joined(path: "/run/netns/a"))
                == Namespace(kind: .network, path: "/run/netns/a"))
    }

    @Test(
        "an invalid sandbox limit is an error with its field, and never traps",
        arguments: [
            Double.nan, .infinity, -.infinity, -1, 0, 0.009, 1e300, .leastNonzeroMagnitude,
        ])
    func wrongCPUs(_ cpus: Double) {
        let error = #expect(throws: SpecErrors.self) { try Spec.sandbox(["a"], cpus: cpus) }
        #expect(error?.violations.map(\.path) == ["linux.resources.cpu.quota"])
    }

    @Test("all errors in the arguments of a sandbox are reported at once")
    func wrong() {
        let error = #expect(throws: SpecErrors.self) {
            try Spec.sandbox([], memory: 0, pids: -1)
        }
        #expect(
            error?.description == """
                process.args: a sandbox needs a program to run; linux.resources.memory.limit: 0 is \
                no number of bytes; nil is no limit; linux.resources.pids.limit: -1 is no number of \
                processes; nil is no limit
                """)
    }

    @Test("every theme of the sandbox profile has a name, a reason and rules of its own")
    func themes() {
        let themes = Seccomp.sandboxThemes
        #expect(Set(themes.map(\.name)).count == themes.count)
        for theme in themes { #expect(!theme.reason.isEmpty && !theme.rules.isEmpty) }
        let plain = themes.flatMap(\.rules).filter { $0.args == nil }.flatMap(\.names)
        #expect(Set(plain).count == plain.count, "a call is of one theme")
        let conditional = themes.flatMap(\.rules).filter { $0.args != nil }.flatMap(\.names)
        #expect(Set(conditional).isDisjoint(with: plain))
    }

    @Test("the sandbox profile lacks the calls of a theme that is left out")
    func withoutTheme() {
        let less = Seccomp.sandbox(Seccomp.sandboxThemes.filter { $0.name != "sockets" })
        let names = Set(less.syscalls?.flatMap(\.names) ?? [])
        #expect(!names.contains("socket") && !names.contains("connect"))
        #expect(names.contains("read"))
    }

    @Test("seccomp rules for all but some values ignore the bits above 32")
    func noneOf() {
        let values: [UInt32] = [0x5412, 0x541c, 0, .max]
        let rules = SeccompRule.allowing("ioctl", argument: 1, notIn: values)
        func matches(_ number: UInt64) -> Int {
            rules.count { rule in
                rule.args?.allSatisfy { number & $0.value == $0.valueTwo } == true
            }
        }
        for value in values {
            #expect(matches(UInt64(value)) == 0)
            #expect(matches(UInt64(value) | 1 << 32) == 0)
            for bit in 0..<32 {
                let other = value ^ (UInt32(1) << bit)
                guard !values.contains(other) else { continue }
                #expect(matches(UInt64(other)) == 1)
                #expect(matches(UInt64(other) | 1 << 63) == 1)
            }
        }
    }
}
