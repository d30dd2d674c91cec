// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Descriptors that are handed over", Host.root)
struct DescriptorTests {
    /// The process of a pidfd, from /proc/self/fdinfo.
    private func pid(_ pidfd: CInt) throws -> Int? {
        try readText("/proc/self/fdinfo/\(pidfd)").value(of: "Pid:").flatMap { Int($0) }
    }

    @Test("--pidfd-socket receives one pidfd of the process before create or exec returns")
    func pidfd() throws {
        try TestBundle.use { bundle throws in
            let socket = try ConsoleSocket("\(bundle.directory)/pidfd")
            bundle.process.args = ["sleep", "100"]
            try bundle.create("--pidfd-socket", socket.path)
            let created = try socket.receiveDescriptor()
            defer { close(created.number) }
            #expect(created.text == "standard")
            #expect(try pid(created.number) == bundle.state().pid)
            #expect(try bundle.swrunc("start", bundle.id).status == 0)

            let pidFile = "\(bundle.directory)/pid"
            let done = try bundle.swrunc(
                "exec", "-d", "--pidfd-socket", socket.path, "--pid-file", pidFile, bundle.id,
                "sleep", "100")
            #expect(done.status == 0, "\(done)")
            let executed = try socket.receiveDescriptor()
            defer { close(executed.number) }
            #expect(executed.text == "setns")
            #expect(try pid(executed.number).map(String.init) == readText(pidFile))
        }
    }

    @Test("an annotation names the socket for the pidfd if no flag does")
    func pidfdByAnnotation() throws {
        try TestBundle.use { bundle throws in
            let socket = try ConsoleSocket("\(bundle.directory)/pidfd")
            bundle.process.args = ["sleep", "100"]
            bundle.spec.annotations = ["run.oci.pidfd_receiver": socket.path]
            try bundle.create()
            let created = try socket.receiveDescriptor()
            defer { close(created.number) }
            #expect(try pid(created.number) == bundle.state().pid)
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            let other = try ConsoleSocket("\(bundle.directory)/other")
            try bundle.create("--pidfd-socket", other.path)
            close(try other.receiveDescriptor().number)
        }
    }

    @Test("run sends a pidfd, too; a socket without a listener fails it, and nothing is left")
    func pidfdOfRun() throws {
        try TestBundle.use { bundle throws in
            let socket = try ConsoleSocket("\(bundle.directory)/pidfd")
            bundle.process.args = ["sleep", "100"]
            #expect(try bundle.run("-d", "--pidfd-socket", socket.path).status == 0)
            let sent = try socket.receiveDescriptor()
            defer { close(sent.number) }
            #expect(try pid(sent.number) == bundle.state().pid)
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            bundle.expectFailure(
                try bundle.run("--pidfd-socket", "/no/such/socket"),
                naming: [
                    "unable to send the pidfd", "/no/such/socket", "no such file or directory",
                ])
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test(
        "a service manager's sockets are passed to the process before those of --preserve-fds",
        arguments: [true, false])
    func activation(_ isForRuntime: Bool) throws {
        try TestBundle.use { bundle throws in
            let paths = (0..<3).map { "\(bundle.directory)/file\($0)" }
            let files = try paths.map { path in
                try writeText(path, to: path)
                return try check(open(path, O_RDONLY | O_CLOEXEC), "open")
            }
            defer { for file in files { close(file) } }
            var options = CommandOptions()
            options.descriptors = [3: files[0], 4: files[1], 5: files[2]]
            options.environment = ["LISTEN_FDS": "2", "LISTEN_FDNAMES": "one:two"]
            bundle.script(
                "echo sockets $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; cat <&3; echo; cat <&4; echo; "
                    + "[ -e /proc/self/fd/5 ] && cat <&5")
            try bundle.writeConfig()
            // A service manager sets LISTEN_PID to the pid of the process for which the sockets
            // are.
            let command = [
                "/bin/sh", "-c", "export LISTEN_PID=\(isForRuntime ? "$$" : "1"); exec \"$@\"",
                "sh",
                Host.runtime, "--root", bundle.store, "run", "--bundle", bundle.directory,
                "--preserve-fds", "1", bundle.id,
            ]
            let done = try RunningCommand(command, options, token: bundle.token).wait()
            if isForRuntime {
                #expect(done.output.lines == ["sockets 2 1 one:two"] + paths, "\(done)")
            } else {
                #expect(done.output.lines.prefix(2) == ["sockets", paths[0]], "\(done)")
            }
        }
    }
}
