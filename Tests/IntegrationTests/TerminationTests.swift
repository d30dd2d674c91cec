// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Foundation
import Synchronization
import SystemPackage
import Testing

@Suite("Termination of a process", Host.root)
struct TerminationTests {
    // A name that Foundation does not use.
    private func bundle(_ bundle: TestBundle) throws -> ContainerBundle {
        try ContainerBundle(at: FilePath(bundle.directory), spec: bundle.spec)
    }

    private func run(_ bundle: TestBundle, _ options: LaunchOptions = LaunchOptions()) throws
        -> ContainerProcess
    {
        try Container.run(
            bundle.id, from: self.bundle(bundle), in: bundle.containerStore, options: options)
    }

    private func ends(_ process: ContainerProcess) -> Bool {
        var entry = pollfd(
            fd: process.exitDescriptor.rawValue, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 10_000) == 1
    }

    /// Whether a container's memory is counted here.
    static let countsMemory: ConditionTrait = .enabled(
        if: !lacksMemory, "no controller for memory")
    static let lacksMemory =
        !Host.isUnified && !Host.hierarchies.contains { $0.controllers.contains("memory") }

    @Test("a poll of a running process does not block; its exit status stays for every later wait")
    func keptEnd() throws {
        try TestBundle.use { bundle throws in
            bundle.script("read line; exit 7")
            let input = try makePipe()
            var options = LaunchOptions()
            options.io = .descriptors(input: input.reader, output: 1, error: 2)
            let process = try run(bundle, options)
            close(input.reader)
            #expect(try process.waitIfEnded() == nil)
            close(input.writer)
            #expect(ends(process))
            let termination = try process.waitForTermination()
            #expect(termination.status == .exited(7))
            #expect(!termination.ranOutOfMemory)
            let usage = try #require(termination.usage)
            #expect(usage.peakMemoryBytes > 100_000)
            #expect(usage.systemTime + usage.userTime > .zero)
            #expect(try process.waitIfEnded() == termination)
            #expect(try process.wait() == .exited(7))
        }
    }

    @Test("createProcess returns the process, so that no zombie is left")
    func created() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["false"]
            let (container, process) = try Container.createProcess(
                bundle.id, from: self.bundle(bundle), in: bundle.containerStore)
            #expect(try process.waitIfEnded() == nil)
            try container.start()
            #expect(try process.wait() == .exited(1))
            #expect(kill(process.pid, 0) == -1 && errno == ESRCH, "no zombie")
        }
    }

    @Test(
        "a process killed for lack of memory in its container is reported as such, each time",
        countsMemory)
    func outOfMemory() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.memory = MemoryResources(limit: 16 << 20)
            bundle.process.args = ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"]
            for _ in 0..<20 {
                let process = try run(bundle)
                let termination = try process.waitForTermination()
                #expect(termination.status == .signaled(SIGKILL))
                #expect(termination.ranOutOfMemory)
                let container = try bundle.containerStore.container(bundle.id)
                let memory = try container.statistics().memory
                #expect(memory.outOfMemoryKills == termination.outOfMemoryKills)
                #expect(memory.usage.limitIfAny == 16 << 20)
                try container.delete()
            }
        }
    }

    @Test("exec reports only out-of-memory events of its own time", countsMemory)
    func outOfMemoryAnew() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.memory = MemoryResources(limit: 32 << 20)
            bundle.process.args = ["sleep", "100"]
            let first = try run(bundle)
            let container = try bundle.containerStore.container(bundle.id)
            var process = try container.template()
            process.args = ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"]
            #expect(try container.exec(process).waitForTermination().ranOutOfMemory)
            process.args = ["true"]
            #expect(try container.exec(process).waitForTermination().ranOutOfMemory)
            var options = LaunchOptions()
            options.countsOutOfMemoryAnew = true
            let anew = try container.exec(process, options: options).waitForTermination()
            #expect(anew.status == .exited(0) && anew.outOfMemoryKills == 0)
            try first.signal(.kill)
            #expect(try first.waitForTermination().ranOutOfMemory)
        }
    }

    @Test(
        "a new container does not report events that its cgroup counted before",
        countsMemory)
    func takenOver() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.memory = MemoryResources(limit: 16 << 20)
            bundle.linux.cgroupsPath = "/\(bundle.id)-kept"
            bundle.process.args = ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"]
            let process = try run(bundle)
            #expect(try process.waitForTermination().ranOutOfMemory)
            // The state is deleted, the cgroup stays.
            removeTree("\(bundle.store)/\(bundle.id)")
            bundle.process.args = ["true"]
            let second = try run(bundle)
            #expect(try second.waitForTermination().outOfMemoryKills == 0)
        }
    }

    @Test("the init of a container that another program created is found, and its end is reported")
    func reopened() throws {
        try TestBundle.use { bundle throws in
            bundle.script("while [ ! -e /go ]; do sleep 0.02; done; exit 9")
            try bundle.writeConfig()
            let done = try bundle.swrunc(
                "run", "--detach", "--bundle", bundle.directory, bundle.id)
            try #require(done.status == 0, "\(done)")
            let process = try bundle.containerStore.container(bundle.id).process()
            #expect(try process.waitIfEnded() == nil)
            try writeText("", to: "\(bundle.rootfs)/go")
            let termination = try process.waitForTermination()
            #expect([.exited(9), .unknown].contains(termination.status))
            #expect(Host.kernelRelease < (6, 15) || termination.status == .exited(9))
            #expect(termination.usage == nil)
            #expect(try bundle.containerStore.container(bundle.id).statistics().cpu.total > 0)
        }
    }

    @Test(
        "a status reaped by the host comes from the host or the kernel, and is never 0 by default")
    func reaped() throws {
        try TestBundle.use { bundle throws in
            bundle.script("exit 5")
            for asks in [true, false] {
                var options = LaunchOptions()
                if asks {
                    options.reapedStatus = { _ in ContainerKit.ExitStatus(waitStatus: 6 << 8) }
                }
                let process = try run(bundle, options)
                #expect(waitpid(process.pid, nil, 0) == process.pid)
                let termination = try process.waitForTermination()
                if asks {
                    #expect(termination.status == .exited(6))
                } else {
                    let known: ContainerKit.ExitStatus =
                        Host.kernelRelease < (6, 15) ? .unknown : .exited(5)
                    #expect(termination.status == known)
                }
                try bundle.containerStore.container(bundle.id).delete()
            }
        }
    }

    @Test("many threads that wait for one process all get its exit status")
    func manyWaits() throws {
        try TestBundle.use { bundle throws in
            bundle.script("sleep 0.2; exit 3")
            let process = try run(bundle)
            let statuses = Mutex<[ContainerKit.ExitStatus?]>([])
            for _ in 0..<8 {
                Thread.detachNewThread {
                    let status = try? process.wait()
                    statuses.withLock { $0.append(status) }
                }
            }
            #expect(waits { statuses.withLock { $0.count } == 8 })
            #expect(statuses.withLock { $0.allSatisfy { $0 == .exited(3) } })
        }
    }

    @Test("statistics are available until delete")
    func statisticsAfterEnd() throws {
        try TestBundle.use { bundle throws in
            bundle.script("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done")
            #expect(try run(bundle).wait() == .exited(0))
            let container = try bundle.containerStore.container(bundle.id)
            #expect(try container.statistics().cpu.total > 0)
            try container.delete()
            let gone = #expect(throws: ContainerError.self) { try container.statistics() }
            #expect(gone?.code == .notFound)
        }
    }

    @Test("a relative store or root is resolved when it is constructed")
    func relativePaths() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            var options = CommandOptions()
            options.directory = bundle.directory
            // In the VM's guest, Swift's libraries are beside the tests.
            let tests = readLink("/proc/self/exe").split(separator: "/").dropLast()
            options.environment["LD_LIBRARY_PATH"] = "/" + tests.joined(separator: "/")
            let output = try RunningCommand(
                [embeddingExample(), "rootfs", "/bin/echo", "there"], options, token: bundle.token
            ).wait()
            #expect(output.output.contains("there") && output.status == 0, "\(output)")
        }
        var buffer = [CChar](repeating: 0, count: 4096)
        _ = getcwd(&buffer, buffer.count)
        let current = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
        #expect(ContainerStore(at: "a/../b").path == FilePath("\(current)/b"))
        #expect(ContainerStore(at: "/a").path == "/a")
    }

    /// The README's program, which is built beside the tests.
    private func embeddingExample() throws -> String {
        let package = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(package)/.build/debug/EmbeddingExample"
        try #require(exists(path), "swift build --build-tests makes it")
        return path
    }
}
