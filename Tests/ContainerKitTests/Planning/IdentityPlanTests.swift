// SPDX-License-Identifier: Apache-2.0

import KernelVocabulary
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Environment, program and capabilities of a process")
struct IdentityPlanTests {
    private func plan(_ args: [ByteText]? = nil, env: [ByteText]? = nil, home: String = "/home/me")
        -> IdentityPlan
    {
        var process = Process(cwd: "/")
        process.argBytes = args
        process.envBytes = env
        return IdentityPlan(process: process, filter: nil, home: home)
    }

    @Test("the config's model and the kernel's vocabulary have the same capabilities")
    func capabilityNames() {
        #expect(Capability.all.map(\.description) == CapabilityNumber.names)
    }

    @Test(
        "the last value of a repeated variable counts, at its place; a missing HOME is added",
        arguments: [
            (nil, ["HOME=/home/me"]),
            (["A=1"], ["A=1", "HOME=/home/me"]),
            (["A=1", "B=2", "A=3"], ["B=2", "A=3", "HOME=/home/me"]),
            (["A=1", "AB=2", "A"], ["AB=2", "A", "HOME=/home/me"]),
            (["A=x=y", "A="], ["A=", "HOME=/home/me"]),
            (["HOME=/srv", "A=1"], ["HOME=/srv", "A=1"]),
            (["HOME=", "A=1"], ["A=1", "HOME=/home/me"]),
            (["HOME=/srv", "HOME="], ["HOME=/home/me"]),
            (["HOME=", "HOME=/srv"], ["HOME=/srv"]),
            (["HOMER=1"], ["HOMER=1", "HOME=/home/me"]),
        ] as [([ByteText]?, [ByteText])])
    func environment(_ given: [ByteText]?, _ expected: [ByteText]) {
        #expect(plan(env: given).environment == expected)
    }

    @Test("variable names that differ only in bytes, such as composed accents, are two variables")
    func composedNames() {
        let given: [ByteText] = ["caf\u{e9}=1", "cafe\u{301}=2", "HOME=/"]
        #expect(plan(env: given).environment == given)
    }

    @Test(
        "a program name is looked up in each absolute directory of PATH, in order",
        arguments: [
            ("PATH=/usr/bin:/bin", ["/usr/bin/sh", "/bin/sh"]),
            ("PATH=/usr/bin/:/bin", ["/usr/bin/sh", "/bin/sh"]),
            ("PATH=bin:./sbin:..:/bin", ["/bin/sh"]),
            ("PATH=::/bin:", ["/bin/sh"]),
            ("PATH=.", []), ("PATH=", []), ("NOPATH=/bin", []),
            ("PATH=/", ["/sh"]),
        ] as [(ByteText, [ByteText])])
    func lookup(_ path: ByteText, _ expected: [ByteText]) {
        #expect(plan(["sh"], env: [path]).candidates == expected)
    }

    @Test(
        "thousands of environment variables, each given twice, are planned quickly",
        .timeLimit(.minutes(1)))
    func manyVariables() {
        let given: [ByteText] = ["HOME=/"] + (0..<20_000).map { "V\($0)=a" }
        let start = ContinuousClock.now
        #expect(plan(env: given + given.dropFirst()).environment == given)
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test("the last PATH of a repeated one counts")
    func lastPath() {
        #expect(plan(["sh"], env: ["PATH=/a", "PATH=/b"]).candidates == ["/b/sh"])
    }

    @Test(
        "a program with a slash is a path, whatever PATH says",
        arguments: ["/bin/sh", "./sh", "bin/sh", "../sh", "sh/"] as [ByteText])
    func paths(_ name: ByteText) {
        #expect(plan([name, "-c"], env: ["PATH=/usr/bin"]).candidates == [name])
    }

    @Test(
        "a process without a program has no path to look for it",
        arguments: [nil, [], [""]] as [[ByteText]?])
    func noProgram(_ args: [ByteText]?) {
        #expect(plan(args, env: ["PATH=/bin"]).candidates == [])
    }

    @Test("a capability is the bit of its number in linux/capability.h")
    func masks() {
        let masks = CapabilityMasks(
            Capabilities(
                bounding: ["CAP_CHOWN", "CAP_KILL"], effective: ["CAP_KILL"], inheritable: nil,
                permitted: ["CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"], ambient: []))
        #expect(masks.bounding == 1 | 1 << 5)
        #expect(masks.effective == 1 << 5)
        #expect(masks.inheritable == 0)
        #expect(masks.permitted == 1 << 21 | 1 << 40)
        #expect(masks.ambient == 0)
    }

    @Test(
        "capabilities that the runtime lacks are granted in no set; the bounding set only shrinks")
    func lackedCapabilities() {
        let both = ["CAP_KILL", "CAP_CHOWN"]
        let masks = CapabilityMasks(
            Capabilities(
                bounding: both, effective: both, inheritable: both, permitted: both, ambient: both),
            grantable: 1 << 5)
        #expect(masks.bounding == 1 | 1 << 5)
        #expect(
            [masks.effective, masks.permitted, masks.inheritable, masks.ambient]
                .allSatisfy { $0 == 1 << 5 })
    }

    @Test("a config without capabilities gives none")
    func noCapabilities() {
        let masks = CapabilityMasks(nil)
        #expect(
            [masks.bounding, masks.effective, masks.permitted, masks.inheritable, masks.ambient]
                .allSatisfy { $0 == 0 })
    }

    @Test("an unknown capability is left out")
    func unknownCapabilities() {
        #expect(
            CapabilityMasks(Capabilities(bounding: ["CAP_NEW", "CAP_KILL"])).bounding == 1 << 5)
    }
}
