// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("swrunc top", Host.root)
struct TopTests {
    /// The cells of a container's row by the titles of the header.
    private func row(_ id: String, in table: String) throws -> [String: String] {
        let lines = table.lines.map { $0.split(separator: " ").map(String.init) }
        let titles = try #require(lines.first)
        let cells = try #require(lines.first { $0.first == id }, "\(table)")
        try #require(titles.count == cells.count, "\(table)")
        return Dictionary(uniqueKeysWithValues: zip(titles, cells))
    }

    private func ids(_ table: String) -> [String] {
        table.lines.dropFirst().compactMap { $0.split(separator: " ").first.map(String.init) }
    }

    // MARK: --once

    @Test("--once prints what containers of each state use, to a pipe and without escapes")
    func once() throws {
        try TestBundle.use { bundle throws in
            let (created, paused) = ("\(bundle.id)-created", "\(bundle.id)-paused")
            let (ended, busy) = ("\(bundle.id)-ended", "\(bundle.id)-busy")
            try bundle.create(id: created)
            try bundle.startSleeping(id: paused)
            try #require(try bundle.swrunc("pause", paused).status == 0)
            bundle.script("exit 0")
            try bundle.create(id: ended)
            try #require(try bundle.swrunc("start", ended).status == 0)
            try #require(try bundle.waits(for: .stopped, ended))
            bundle.linux.resources = Resources(memory: MemoryResources(limit: 64 << 20))
            bundle.script("while :; do :; done")
            try bundle.create(id: busy)
            try #require(try bundle.swrunc("start", busy).status == 0)

            let done = try bundle.swrunc("top", "--once", "--interval", "300ms")
            #expect(done.status == 0 && done.error == "", "\(done)")
            #expect(!done.output.contains("\u{1b}"))
            #expect(ids(done.output).sorted() == [busy, created, paused].sorted(), "\(done)")
            #expect(ids(done.output).first == busy, "sorted by CPU: \(done)")
            let first = try row(busy, in: done.output)
            #expect(Double(first["CPU%"] ?? "") ?? 0 > 0.1, "\(done)")
            #expect(first["STATUS"] == "running" && first["PIDS"] == "1", "\(done)")
            #expect(first["LIMIT"] == "64M" && first["MEM"] != "-", "\(done)")
            #expect(Double(first["MEM%"] ?? "") != nil, "\(done)")
            let second = try row(paused, in: done.output)
            #expect(second["STATUS"] == "paused" && second["CPU%"] == "0.0", "\(done)")
            #expect(second["LIMIT"] == "-" && second["MEM%"] == "-", "no limit: \(done)")

            let all = try bundle.swrunc("top", "--once", "-d", "0.1", "--all", "--sort", "id")
            #expect(ids(all.output) == [busy, created, ended, paused].sorted(), "\(all)")
            #expect(try row(ended, in: all.output)["STATUS"] == "stopped", "\(all)")
            let one = try bundle.swrunc("top", "--once", "-d", "0.1", ended, ended)
            #expect(ids(one.output) == [ended], "named, and once: \(one)")
        }
    }

    @Test("--format json has one object for each container, with null for what is unknown")
    func json() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let done = try bundle.swrunc("top", "--once", "-d", "0.1", "--format", "json")
            #expect(done.status == 0 && done.error == "", "\(done)")
            guard case .array(let values) = try JSONValue(json: Array(done.output.utf8)),
                values.count == 1, case .object(let object) = values[0]
            else {
                Issue.record("\(done)")
                return
            }
            #expect(object["id"] == .string(bundle.id) && object["status"] == .string("running"))
            #expect(object["pids"] == .integer(1) && object["memoryLimitBytes"] == .null)
            guard case .integer(let time)? = object["cpuNanoseconds"] else {
                Issue.record("\(done)")
                return
            }
            #expect(time > 0)
            #expect(object["cpuPercent"] != .null && object["cpuPercent"] != nil)
        }
    }

    @Test("a container without a cgroup has - for every number")
    func withoutCgroup() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            // The record as it is where no cgroup can be made.
            let path = "\(bundle.store)/\(bundle.id)/state.json"
            let text = try readText(path)
            guard case .object(let record) = try JSONValue(json: Array(text.utf8)) else {
                Issue.record("\(text)")
                return
            }
            let none: JSONObject = [
                "mode": .string("none"), "directories": .array([]),
                "unifiedControllers": .array([]),
            ]
            var changed = JSONObject()
            for (key, value) in record.members.map({ ($0.key, $0.value) }) {
                changed.append(key, key == "cgroups" ? .object(none) : value)
            }
            let bytes = JSONValue.object(changed).encoded()
            try writeText(String(decoding: bytes, as: UTF8.self), to: path)
            let done = try bundle.swrunc("top", "--once", "-d", "0.1")
            try writeText(text, to: path)
            #expect(done.status == 0 && done.error == "", "\(done)")
            let row = try row(bundle.id, in: done.output)
            #expect(row["STATUS"] == "running", "\(done)")
            for (title, cell) in row where title != "ID" && title != "STATUS" {
                #expect(cell == "-", "\(title)")
            }
        }
    }

    @Test("without containers there is a header, or an empty list")
    func empty() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory(bundle.store, mode: 0o700)
            let table = try bundle.swrunc("top", "--once", "--interval", "1h")
            #expect(table.status == 0 && table.output.lines.count == 1, "\(table)")
            let json = try bundle.swrunc("top", "--once", "--format", "json")
            #expect(json.output == "[]\n", "\(json)")
        }
    }

    @Test("a container that cannot be read gives one warning, and the others still come")
    func damaged() throws {
        try TestBundle.use { bundle throws in
            let other = "\(bundle.id)-other"
            try bundle.startSleeping()
            try bundle.startSleeping(id: other)
            let record = "\(bundle.store)/\(other)/state.json"
            let text = try readText(record)
            try writeText("{", to: record)
            let done = try bundle.swrunc("top", "--once", "-d", "0.1")
            try writeText(text, to: record)
            #expect(done.status == 0, "\(done)")
            #expect(done.error.lines.count == 1 && done.error.contains(other), "\(done)")
            #expect(ids(done.output) == [bundle.id])
        }
    }

    @Test("containers come and go while they are read, without a warning")
    func racing() throws {
        try TestBundle.use { bundle throws in
            let running = try bundle.runInTurn(40)
            for _ in 0..<10 {
                let done = try bundle.swrunc("top", "--once", "-d", "0.1", "--all")
                #expect(done.status == 0 && done.error == "", "\(done)")
            }
            #expect(try running.wait().status == 0)
        }
    }

    @Test("what is wrong is refused by its name, and without a terminal there is a hint")
    func refusals() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory(bundle.store, mode: 0o700)
            for (words, message) in [
                ([], "is not a terminal"), (["--format", "json"], "--format json needs --once"),
                (["--once", "--format", "xml"], "invalid format option"),
                (["--once", "--sort", "mood"], "--sort: no column \"mood\""),
                (["--once", "--interval", "soon"], "--interval: \"soon\" is not a time"),
                (["--once", "none"], "none: container does not exist"),
                (["--once", "a/b"], "a/b: invalid container ID format"),
            ] {
                let done = try bundle.start(["top"] + words).wait()
                bundle.expectFailure(done, naming: [message])
            }
            #expect(try bundle.swrunc("top").error.contains("--once prints one table"))
        }
    }

    // MARK: On a terminal

    private func options(_ terminal: Terminal, _ type: String = "xterm") -> CommandOptions {
        var options = CommandOptions()
        options.terminal = terminal.slave
        options.environment["TERM"] = type
        return options
    }

    private static let ending = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l"

    /// Runs top, tells its status, and keeps the terminal until a line is typed.
    ///
    /// A session's terminal gets its first modes again when the session's leader ends, so that
    /// what top left would not be seen.
    private static let session = """
        trap : INT
        sh -c 'echo $$ >"$0"; exec "$@"' "$0" "$@"; echo "status $?"; read word
        """

    /// Starts top in a shell on a terminal, and waits until it shows the container.
    private func start(
        _ bundle: TestBundle, _ words: [String] = [], on terminal: Terminal? = nil,
        environment: [String: String] = [:]
    ) throws -> (Terminal, RunningCommand) {
        let terminal = try terminal ?? Terminal()
        try terminal.resize(rows: 20, columns: 100)
        var options = options(terminal)
        options.environment.merge(environment) { $1 }
        let call = [Host.runtime, "--root", bundle.store, "top", "-d", "0.1"] + words
        let shell = try RunningCommand(
            ["/bin/sh", "-c", Self.session, "\(bundle.directory)/pid"] + call, options,
            token: bundle.token)
        try #require(terminal.sees("\(bundle.id) running"), "\(terminal.text)")
        return (terminal, shell)
    }

    private func send(_ signal: Int32, to bundle: TestBundle) throws {
        let pid = try #require(Int32(try readText("\(bundle.directory)/pid").trimmed))
        try check(kill(pid, signal), "kill")
    }

    /// Waits for the end with a status, checks what is left, and ends the shell.
    private func expectEnd(
        _ status: Int32, of shell: RunningCommand, on terminal: Terminal, leavingScreen: Bool = true
    ) throws {
        #expect(terminal.sees("status \(status)\r\n"), "\(terminal.text.debugDescription)")
        if leavingScreen { #expect(terminal.text.contains(Self.ending)) }
        #expect(terminal.isCooked)
        try terminal.type("\n")
        #expect(try shell.wait().status == 0)
    }

    @Test("keys sort and quit, and the terminal is as before")
    func keys() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let (terminal, shell) = try start(bundle)
            #expect(terminal.text.contains("\u{1b}[?1049h"))
            #expect(!terminal.isCooked)
            #expect(terminal.sees("by cpu, every 0.1s"))
            for (key, seen) in [
                ("m", "by memory"), ("r", "by memory reversed"), (">", "by io"), ("n", "by id"),
            ] {
                try terminal.type(key)
                #expect(terminal.sees(seen), "\(key) \(terminal.text.debugDescription)")
            }
            try terminal.resize(rows: 20, columns: 30)
            let program = try #require(Host.runtime.split(separator: "/").last)
            let title = "\(program) top: 1 container (1 running), by id".prefix(29)
            #expect(terminal.sees("\(title)+"), "resized")
            try terminal.type("q")
            try expectEnd(0, of: shell, on: terminal)
        }
    }

    @Test("the modes that the terminal had are restored, also unusual ones")
    func unusualModes() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let terminal = try Terminal()
            var modes = terminal.modes
            modes.c_lflag &= ~tcflag_t(ECHO)
            modes.c_iflag ^= tcflag_t(IXON)
            modes.c_cc.6 = 7
            tcsetattr(terminal.master, TCSANOW, &modes)
            let (_, shell) = try start(bundle, on: terminal)
            #expect(terminal.modes.c_lflag & tcflag_t(ICANON) == 0)
            try terminal.type("q")
            #expect(terminal.sees("status 0\r\n"))
            let now = terminal.modes
            #expect(now.c_lflag == modes.c_lflag && now.c_iflag == modes.c_iflag)
            #expect(now.c_oflag == modes.c_oflag && now.c_cc.6 == 7)
            try terminal.type("\n")
            #expect(try shell.wait().status == 0)
        }
    }

    @Test(
        "a signal ends it with its number, an interrupt with 0, and the terminal is as before",
        arguments: [(SIGINT, 0), (SIGTERM, 143), (SIGHUP, 129), (SIGQUIT, 131), (SIGUSR1, 138)]
            as [(Int32, Int32)])
    func signals(_ signal: Int32, _ status: Int32) throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let (terminal, shell) = try start(bundle)
            #expect(!terminal.isCooked)
            try send(signal, to: bundle)
            try expectEnd(status, of: shell, on: terminal)
        }
    }

    @Test("the key for an interrupt ends it")
    func interruptKey() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let (terminal, shell) = try start(bundle)
            try terminal.type("\u{3}")
            try expectEnd(0, of: shell, on: terminal)
        }
    }

    @Test("a terminal that is closed ends it")
    func closedTerminal() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            var terminal: Terminal? = try Terminal()
            try terminal?.resize(rows: 20, columns: 100)
            let running = try bundle.start(
                ["top", "-d", "1h"], options(try #require(terminal)))
            #expect(terminal?.sees("\(bundle.id) running") == true)
            terminal = nil
            #expect(try running.wait().status == 129)
        }
    }

    @Test("a terminal that takes no output does not keep a signal from ending it")
    func stoppedOutput() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let (terminal, shell) = try start(bundle)
            let slave = try check(open(terminal.slave, O_RDWR | O_NOCTTY), "open the slave")
            defer { close(slave) }
            try check(tcflow(slave, TCOOFF), "tcflow")
            // Some frames wait by now.
            usleep(300_000)
            let pid = try readText("\(bundle.directory)/pid").trimmed
            try send(SIGTERM, to: bundle)
            #expect(waits { access("/proc/\(pid)", F_OK) != 0 })
            try check(tcflow(slave, TCOON), "tcflow")
            try expectEnd(143, of: shell, on: terminal, leavingScreen: false)
        }
    }

    @Test("a failure ends it with the terminal as before, and its message is on the former screen")
    func failure() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let (terminal, shell) = try start(bundle)
            let away = bundle.store + "-away"
            try check(rename(bundle.store, away), "rename")
            let saw = terminal.sees("the store does not exist")
            try check(rename(away, bundle.store), "rename")
            #expect(saw, "\(terminal.text.debugDescription)")
            let parts = terminal.text.split(separator: Self.ending, maxSplits: 1)
            #expect(parts.count == 2 && parts[1].contains("the store does not exist"))
            try expectEnd(1, of: shell, on: terminal)
        }
    }

    @Test("a shell stops it and brings it back, and has the terminal as before meanwhile")
    func stopping() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let terminal = try Terminal()
            try terminal.resize(rows: 20, columns: 100)
            let script = """
                set -m; "$@"; echo "status $?"; stty -a | tr ' ' '\\n' | grep -x -e '-*icanon'
                read word; fg; echo "then $?"; read word
                """
            let shell = try RunningCommand(
                ["/bin/sh", "-c", script, "sh", Host.runtime, "--root", bundle.store, "top"],
                options(terminal), token: bundle.token)
            try #require(terminal.sees("\(bundle.id) running"), "\(terminal.text)")
            try terminal.type("\u{1a}")
            #expect(terminal.sees("status 148\r\nicanon\r\n"), "\(terminal.text.debugDescription)")
            #expect(terminal.text.contains(Self.ending))
            try terminal.type("\n")
            // A text that the first screen did not have.
            try terminal.type("m")
            #expect(terminal.sees("by memory"), "\(terminal.text.debugDescription)")
            #expect(!terminal.isCooked)
            try terminal.type("q")
            #expect(terminal.sees("then 0\r\n"), "\(terminal.text.debugDescription)")
            #expect(terminal.isCooked)
            try terminal.type("\n")
            #expect(try shell.wait().status == 0)
        }
    }

    @Test("a job in the background leaves the terminal alone, and stops until it is ended")
    func background() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let terminal = try Terminal()
            try terminal.resize(rows: 20, columns: 100)
            let script = """
                set -m; "$@" & pid=$!
                until grep -q '^State:.T' /proc/$pid/status; do sleep 0.05; done
                stty -a | tr ' ' '\\n' | grep -x -e '-*icanon'; kill $pid; kill -CONT $pid
                while kill -0 $pid 2>/dev/null; do sleep 0.05; done; echo ended; read word
                """
            let shell = try RunningCommand(
                ["/bin/sh", "-c", script, "sh", Host.runtime, "--root", bundle.store, "top"],
                options(terminal), token: bundle.token)
            #expect(terminal.sees("ended\r\n"), "\(terminal.text.debugDescription)")
            #expect(terminal.text == "icanon\r\nended\r\n")
            #expect(terminal.isCooked)
            try terminal.type("\n")
            #expect(try shell.wait().status == 0)
        }
    }

    @Test("NO_COLOR leaves out colours and weights, not the movement of the cursor")
    func noColor() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            for (environment, isPlain) in [(["NO_COLOR": "1"], true), ([:], false)] {
                let (terminal, shell) = try start(bundle, environment: environment)
                try terminal.type("q")
                try expectEnd(0, of: shell, on: terminal)
                #expect(terminal.text.contains("\u{1b}[1mID") != isPlain)
                #expect(terminal.text.contains("\u{1b}[H"))
            }
        }
    }

    @Test("a terminal that has no cursor to move is refused, and --once works on it")
    func dumbTerminal() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory(bundle.store, mode: 0o700)
            for (words, seen, status): ([String], String, Int32) in [
                (["top"], "hint: --once prints one table\r\n", 1),
                (["top", "--once"], "IO-P\r\n", 0),
            ] {
                let terminal = try Terminal()
                let running = try bundle.start(words, options(terminal, "dumb"))
                #expect(terminal.sees(seen), "\(terminal.text)")
                #expect(try running.wait().status == status)
                #expect(!terminal.text.contains("\u{1b}"))
            }
        }
    }
}
