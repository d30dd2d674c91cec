// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// What the runtime inherits from its caller: signals, limits, umask, a directory that no longer
/// exists.
@Suite("What the runtime inherits", Host.root)
struct InheritedSettingsTests {
    /// Runs the runtime after lines of a shell script, which change what it inherits.
    private func run(
        _ bundle: TestBundle, after script: String, _ words: [String],
        _ options: CommandOptions = CommandOptions()
    ) throws -> FinishedCommand {
        let shell = ["/bin/bash", "-c", "\(script)\nexec \"$@\"", "bash"]
        let call = [Host.runtime, "--root", bundle.store] + words
        return try RunningCommand(shell + call, options, token: bundle.token).wait()
    }

    private static let bash: ConditionTrait = .enabled(
        if: access("/bin/bash", X_OK) == 0, "needs /bin/bash")

    @Test("exit statuses and hooks work if the runtime inherits SIGCHLD as ignored", bash)
    func ignoredChildren() throws {
        try TestBundle.use { bundle throws in
            let ignore = "trap '' CHLD"
            bundle.spec.hooks = Hooks(
                createRuntime: [Hook(path: "/bin/true")], poststop: [Hook(path: "/bin/true")])
            bundle.script("exit 7")
            try bundle.writeConfig()
            let place = ["--bundle", bundle.directory, bundle.id]
            let done = try run(bundle, after: ignore, ["run"] + place)
            #expect(done.status == 7 && done.error == "", "\(done)")
            try bundle.startSleeping()
            let exec = ["exec", bundle.id, "sh", "-c", "kill -9 $$"]
            #expect(try run(bundle, after: ignore, exec).status == 128 + SIGKILL)
            let deleted = try run(bundle, after: ignore, ["delete", "--force", bundle.id])
            #expect(deleted.status == 0 && deleted.error == "", "\(deleted)")
        }
    }

    @Test(
        "the process starts with an empty signal mask, default signal actions and its own umask",
        bash)
    func signals() throws {
        try TestBundle.use { bundle throws in
            let script = "trap '' CHLD PIPE HUP INT TERM USR1 XFSZ; umask 0777"
            let look = ["/bin/grep", "-E", "^(Sig(Blk|Ign|Cgt)|Umask):", "/proc/self/status"]
            let none = String(repeating: "0", count: 16)
            let expected = [
                "Umask:\t0022", "SigBlk:\t\(none)", "SigIgn:\t\(none)", "SigCgt:\t\(none)",
            ]
            bundle.process.args = look
            try bundle.writeConfig()
            let place = ["--bundle", bundle.directory, bundle.id]
            let done = try run(bundle, after: script, ["run"] + place)
            #expect(done.text.lines.map { String($0) } == expected, "\(done)")
            try bundle.startSleeping()
            let found = try run(bundle, after: script, ["exec", bundle.id] + look)
            #expect(found.text.lines.map { String($0) } == expected, "\(found)")
        }
    }

    @Test(
        "an inherited soft limit of file sizes reaches the container but does not stop the runtime",
        bash)
    func fileSize() throws {
        try TestBundle.use { bundle throws in
            bundle.script("grep 'Max file size' /proc/self/limits >&2")
            try bundle.writeConfig()
            let place = ["--bundle", bundle.directory, bundle.id]
            let limit = "ulimit -S -f 0"
            let pipe = try ErrorPipe()
            #expect(try run(bundle, after: limit, ["run"] + place, pipe.options).status == 0)
            let words = pipe.text.split(separator: " ").map(String.init)
            #expect(words.dropFirst(3).first == "0", "\(words)")
            #expect(words.dropFirst(4).first == "unlimited", "\(words)")

            bundle.process.rlimits = [Rlimit(type: "RLIMIT_FSIZE", hard: 8192, soft: 4096)]
            try bundle.writeConfig()
            let own = try ErrorPipe()
            #expect(try run(bundle, after: limit, ["run"] + place, own.options).status == 0)
            let text = own.text
            #expect(text.contains("4096") && text.contains("8192"), "\(text)")
        }
    }

    @Test("an inherited hard limit of file sizes gives at most one error and leaves nothing", bash)
    func hardFileSize() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/true"]
            try bundle.writeConfig()
            let pipe = try ErrorPipe()
            let create = ["create", "--bundle", bundle.directory, bundle.id]
            let status = try run(bundle, after: "ulimit -f 0", create, pipe.options).status
            // CAP_SYS_RESOURCE
            guard !Host.hasCapability(24) else {
                #expect(status == 0)
                return
            }
            let text = pipe.text
            #expect(
                status == 1 && text.contains("RLIMIT_FSIZE") && text.lines.count == 1, "\(text)")
            #expect(!entries(of: bundle.store).contains(bundle.id))
        }
    }

    @Test(
        "an inherited small soft limit of the stack reaches the container and stops no command",
        bash)
    func stack() throws {
        try TestBundle.use { bundle throws in
            let limit = "ulimit -S -s 64"
            let look = "grep 'Max stack size' /proc/self/limits"
            func softLimit(_ done: FinishedCommand) -> Substring? {
                done.text.split(separator: " ").dropFirst(3).first
            }
            let place = ["--bundle", bundle.directory, bundle.id]
            bundle.script(look)
            try bundle.writeConfig()
            let done = try run(bundle, after: limit, ["run"] + place)
            #expect(done.status == 0 && softLimit(done) == "65536", "\(done)")

            bundle.script("sleep 600")
            try bundle.writeConfig()
            for words in [["create"] + place, ["start", bundle.id], ["state", bundle.id]] {
                let done = try run(bundle, after: limit, words)
                #expect(done.status == 0 && done.error == "", "\(words): \(done)")
            }
            let found = try run(bundle, after: limit, ["exec", bundle.id, "sh", "-c", look])
            #expect(found.status == 0 && softLimit(found) == "65536", "\(found)")
            let deleted = try run(bundle, after: limit, ["delete", "--force", bundle.id])
            #expect(deleted.status == 0 && deleted.error == "", "\(deleted)")
        }
    }

    @Test(
        "an inherited hard limit of the stack that cannot be raised gives one error", bash,
        .enabled(if: access("/usr/bin/setpriv", X_OK) == 0, "needs setpriv"))
    func hardStack() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/true"]
            try bundle.writeConfig()
            let call = [
                "/usr/bin/setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource",
                "/bin/bash", "-c", "ulimit -s 64; exec \"$@\"", "bash", Host.runtime,
                "--root", bundle.store,
            ]
            for words in [["run", "--bundle", bundle.directory, bundle.id], ["state", bundle.id]] {
                let done = try RunningCommand(call + words, token: bundle.token).wait()
                bundle.expectFailure(done, naming: ["65536", "setrlimit(RLIMIT_STACK"])
                #expect(done.error.contains("ulimit"), "\(done)")
            }
        }
    }

    @Test("a missing working directory does not matter if all given paths are absolute", bash)
    func goneDirectory() throws {
        try TestBundle.use { bundle throws in
            bundle.script("pwd")
            try bundle.writeConfig()
            let script =
                "mkdir \(bundle.directory)/gone; cd \(bundle.directory)/gone; rmdir ../gone"
            let done = try run(
                bundle, after: script, ["run", "--bundle", bundle.directory, bundle.id])
            #expect(done.status == 0 && done.text == "/" && done.error == "", "\(done)")
        }
    }

    @Test("no command crashes without /proc; those that need it report so")
    func withoutProc() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/true"]
            try bundle.writeConfig()
            let shell = [
                Host.busybox, "unshare", "-m", Host.busybox, "sh", "-c",
                "umount -l /proc && exec \"$@\"", "sh", Host.runtime, "--root", bundle.store,
            ]
            func call(_ words: String...) throws -> FinishedCommand {
                try RunningCommand(shell + words, token: bundle.token).wait()
            }
            try makeDirectory(bundle.store, mode: 0o700)
            #expect(try call("--version").status == 0)
            #expect(try call("features").status == 0)
            #expect(try call("list").status == 0)
            let done = try call("run", "--bundle", bundle.directory, bundle.id)
            bundle.expectFailure(done, naming: ["/proc"])
        }
    }

    /// A pipe for standard error: file size limits do not apply to pipes.
    private final class ErrorPipe {
        private let ends: (reader: CInt, writer: CInt)

        init() throws {
            let ends = try makePipe()
            try check(fcntl(ends.reader, F_SETFL, O_NONBLOCK), "fcntl")
            self.ends = ends
        }

        deinit {
            close(ends.reader)
            close(ends.writer)
        }

        var options: CommandOptions {
            var options = CommandOptions()
            options.descriptors = [2: ends.writer]
            return options
        }

        var text: String {
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = read(ends.reader, &bytes, bytes.count)
            return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
        }
    }
}
