// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import SystemPackage
import Testing

@Suite("ContainerKit in a host program", Host.root)
struct LibraryTests {
    /// A pipe's ends.
    private func makePipe() throws -> (read: CInt, write: CInt) {
        var ends: [CInt] = [-1, -1]
        try check(pipe(&ends), "pipe")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private func readToEnd(_ descriptor: CInt) -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = read(descriptor, &buffer, buffer.count), count > 0 {
            bytes += buffer.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test("run of the library gives a process whose streams are the caller's descriptors")
    func run() throws {
        try TestBundle.use { bundle throws in
            bundle.script("cat; echo output; exit 12")
            let input = try makePipe()
            let output = try makePipe()
            var options = LaunchOptions()
            options.io = .descriptors(input: input.read, output: output.write, error: output.write)
            let process = try Container.run(
                bundle.id, from: bundle.loaded(), in: bundle.containerStore, options: options)
            close(input.read)
            close(output.write)
            _ = write(input.write, "input ", 6)
            close(input.write)
            #expect(readToEnd(output.read) == "input output\n")
            close(output.read)
            #expect(try process.wait() == .exited(12))
            let container = try bundle.containerStore.container(bundle.id)
            #expect(try container.state().status == .stopped)
            try container.delete()
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a program can create, start, exec, kill and delete a container with the library")
    func lifecycle() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            let container = try Container.create(
                bundle.id, from: bundle.loaded(), in: bundle.containerStore)
            #expect(try container.state().status == .created)
            try container.start()
            var process = try container.template()
            process.args = ["sh", "-c", "kill -TERM $$"]
            #expect(try container.exec(process).wait() == .signaled(SIGTERM))
            #expect(try bundle.containerStore.states().map(\.id) == [bundle.id])
            let pid = try pid_t(container.state().pid)
            try container.kill(.kill)
            // A container's init is the caller's child, and remains its zombie until then.
            waitpid(pid, nil, 0)
            #expect(try container.state().status == .stopped)
            try container.delete()
            #expect(try bundle.containerStore.states() == [])
        }
    }

    @Test("the master of a terminal goes to a library caller who asks for it")
    func terminal() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.script("read word; echo got $word")
            var options = LaunchOptions()
            options.terminal = .master
            let process = try Container.run(
                bundle.id, from: bundle.loaded(), in: bundle.containerStore, options: options)
            let terminal = Terminal(
                master: try check(
                    fcntl(#require(process.terminalMaster), F_DUPFD_CLOEXEC, 3), "dup"))
            try terminal.type("word\n")
            #expect(terminal.sees("got word"))
            #expect(try process.wait() == .exited(0))
            try bundle.containerStore.container(bundle.id).delete()
        }
    }

    @Test("an error of the library has a code, a field and a system call")
    func errors() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            bundle.addMount("nosuchfs", "none", at: "/mnt")
            let unknown = #expect(throws: ContainerError.self) {
                try Container.create(
                    bundle.id, from: bundle.loaded(), in: bundle.containerStore)
            }
            #expect(unknown?.code == .initFailed && unknown?.field == "mounts[7]")
            #expect(
                unknown?.failure?.call == "fsopen"
                    && unknown?.failure?.errno == .init(rawValue: ENODEV))
            #expect(bundle.leftovers.found() == [])

            let missing = #expect(throws: ContainerError.self) {
                try bundle.containerStore.container(bundle.id)
            }
            #expect(missing?.code == .notFound)

            bundle.spec.mounts?.removeLast()
            bundle.process.args = ["nosuch"]
            let program = #expect(throws: ContainerError.self) {
                try Container.run(bundle.id, from: bundle.loaded(), in: bundle.containerStore)
            }
            #expect(program?.code == .executableNotFound)
        }
    }

    @Test("a terminal whose master no caller takes is refused")
    func unclaimedTerminal() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            #expect(throws: ContainerError.self) {
                try Container.run(bundle.id, from: bundle.loaded(), in: bundle.containerStore)
            }
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("planning a container creates nothing")
    func plan() throws {
        try TestBundle.use { bundle throws in
            let plan = try Container.plan(
                bundle.id, from: bundle.loaded(), in: bundle.containerStore)
            let text = plan.explained(includingCalls: false)
            #expect(text.contains("linux.maskedPaths") && text.contains("process.args"))
            #expect(bundle.leftovers.found() == [] && !exists(bundle.store))
        }
    }
}
