// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// A container's init before its program runs.
@Suite("Init is born empty", Host.root)
struct BornEmptyTests {
    @Test("an init that waits for start executes a file in memory, and uses at most 64 KiB")
    func waitingInit() throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            let pid = try bundle.state().pid
            #expect(readLink("/proc/\(pid)/exe") == "/memfd:init (deleted)")
            // Create may return a moment before init frees its memory and waits.
            var memory: String?
            let isSmall = try waits {
                memory = try readText("/proc/\(pid)/status").lines.first { $0.hasPrefix("VmRSS:") }
                return memory.flatMap { Int($0.filter(\.isNumber)) }.map { $0 <= 64 } == true
            }
            #expect(isSmall, "\(memory ?? "no VmRSS")")
            let maps = try readText("/proc/\(pid)/maps")
            #expect(!maps.contains(Host.runtime) && !maps.contains("[heap]"), "\(maps)")
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
        }
    }

    /// Runs a command in a pid namespace in which memory files may not be executed.
    private func runRefused(_ bundle: TestBundle, _ words: String) throws -> FinishedCommand {
        let call = """
            echo 2 >/proc/sys/vm/memfd_noexec && \
            exec '\(Host.runtime)' --debug --root '\(bundle.store)' \(words)
            """
        return try RunningCommand(
            ["/usr/bin/unshare", "-pf", "--mount-proc", "sh", "-c", call], token: bundle.token
        ).wait()
    }

    @Test(
        "init is a copy of the restarted, sealed runtime if files in memory cannot be executed",
        .enabled(
            if: exists("/proc/sys/vm/memfd_noexec") && Host.kernelRelease >= (6, 3),
            "needs vm.memfd_noexec, Linux 6.3"))
    func refused() throws {
        try TestBundle.use { bundle throws in
            bundle.script("echo it runs; exit 3")
            try bundle.writeConfig()
            let run = "run --bundle '\(bundle.directory)' \(bundle.id)"
            let done = try runRefused(bundle, run)
            #expect(done.status == 3 && done.output == "it runs\n", "\(done)")
            #expect(done.error.contains("init is a copy of the runtime: memfd_create"), "\(done)")
            #expect(bundle.leftovers.found() == [])
        }
    }
}
