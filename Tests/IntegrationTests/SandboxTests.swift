// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import ContainerKitAsync
import SystemPackage
import Testing

@Suite("Sandboxes", Host.root, .patience)
struct SandboxTests {
    /// Runs a script in a sandbox, and gives what it wrote, or how it ended.
    private func output(
        of script: String, _ bundle: TestBundle,
        memory: Int64? = TerminationTests.lacksMemory ? nil : 64 << 20, pids: Int64? = 20,
        cpus: Double? = 0.5, user: User = User(uid: 1000, gid: 1000)
    ) async throws -> ContainerResult<Void> {
        var spec = try Spec.sandbox(
            ["sh", "-c", script], memory: memory, pids: pids, cpus: cpus, user: user)
        spec.process?.env?.append("\(Leftovers.variable)=\(bundle.token)")
        return try await withContainer(
            try ContainerBundle(rootfs: FilePath(bundle.rootfs), spec: spec), id: bundle.id,
            in: bundle.containerStore, output: .collected(limit: 10_000), error: .combined,
            timeout: .seconds(30))
    }

    @Test("a sandboxed user has its own network, and can make neither mounts nor namespaces")
    func ordinary() async throws {
        try await TestBundle.useAsync { bundle in
            let result = try await output(
                of: """
                    id -u; id -g; hostname
                    cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '
                    grep -E '^(CapEff|CapPrm|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status
                    busybox unshare -U true 2>/dev/null || echo no namespace
                    mount -t tmpfs a /tmp 2>/dev/null || echo no mount
                    head -c 1 /proc/kcore 2>/dev/null | wc -c
                    head -c 1 /proc/interrupts | wc -c
                    """, bundle)
            #expect(result.termination.status == .exited(0))
            #expect(
                result.output?.text == """
                    1000
                    1000
                    sandbox
                    lo
                    CapPrm:\t0000000000000000
                    CapEff:\t0000000000000000
                    CapAmb:\t0000000000000000
                    NoNewPrivs:\t1
                    Seccomp:\t2
                    no namespace
                    no mount
                    0
                    0

                    """)
        }
    }

    @Test("a sandboxed root has fourteen capabilities, and makes nothing that the profile refuses")
    func root() async throws {
        try await TestBundle.useAsync { bundle in
            let result = try await output(
                of: """
                    grep -E '^CapEff:' /proc/self/status
                    chmod 700 /dev/shm && echo mode
                    touch /new 2>/dev/null || echo read-only
                    mount -t tmpfs a /tmp 2>/dev/null || echo no mount
                    """, bundle, user: User())
            #expect(result.output?.text == "CapEff:\t00000000a80425fb\nmode\nread-only\nno mount\n")
        }
    }

    @Test("a sandbox makes no more processes than its limit")
    func processes() async throws {
        try await TestBundle.useAsync { bundle in
            let forks = try await output(
                of: "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo made", bundle, pids: 4)
            #expect(forks.output?.text.contains("made") == false)
        }
    }

    @Test(
        "a sandboxed process that exceeds the memory limit is killed", TerminationTests.countsMemory
    )
    func memory() async throws {
        try await TestBundle.useAsync { bundle in
            let memory = try await output(
                of: "dd if=/dev/zero of=/dev/null bs=200M count=1; echo alive", bundle,
                memory: 32 << 20)
            #expect(memory.termination.ranOutOfMemory)
        }
    }
}
