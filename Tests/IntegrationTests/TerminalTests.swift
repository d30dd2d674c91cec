// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Terminal", Host.root)
struct TerminalTests {
    private func options(_ terminal: Terminal) -> CommandOptions {
        var options = CommandOptions()
        options.terminal = terminal.slave
        return options
    }

    // MARK: Console socket

    @Test("create sends the terminal of the process to the console socket")
    func consoleSocket() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.process.consoleSize = Box(height: 33, width: 101)
            bundle.script("tty; stty size; read word; echo got $word; exit 4")
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            try bundle.create("--console-socket", socket.path)
            let terminal = try socket.receive()
            #expect(!socket.isCalled(withinMilliseconds: 0))
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(terminal.sees("/dev/pts/0"), "\(terminal.text)")
            #expect(terminal.sees("33 101"), "\(terminal.text)")
            try terminal.type("word\n")
            #expect(terminal.sees("got word"), "\(terminal.text)")
            #expect(try bundle.waits(for: .stopped))
        }
    }

    @Test(
        "run -d sends the terminal to the console socket; the process leads the terminal's session")
    func consoleSocketOfRun() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.script("echo pid $$; cut -d' ' -f5-8 /proc/self/stat; cat")
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            let done = try bundle.run("-d", "--console-socket", socket.path)
            #expect(done.status == 0, "\(done)")
            let terminal = try socket.receive()
            // Group, session, terminal 136:0, foreground group.
            #expect(terminal.sees(" 1 34816 "), "\(terminal.text)")
            try terminal.type("\u{4}")
            #expect(try bundle.waits(for: .stopped))
        }
    }

    @Test("/dev/console in the container is its terminal")
    func devConsole() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.script("stat -c 'type %t:%T' /dev/console; echo text >/dev/console")
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            try bundle.create("--console-socket", socket.path)
            let terminal = try socket.receive()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(terminal.sees("type 88:0"), "\(terminal.text)")
            #expect(terminal.sees("text"), "\(terminal.text)")
        }
    }

    @Test("the process's user owns the terminal")
    func owner() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.process.user.uid = 1000
            bundle.script("stat -c 'owner %u' $(tty); echo x >$(tty) && echo written")
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            try bundle.create("--console-socket", socket.path)
            let terminal = try socket.receive()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(terminal.sees("owner 1000"), "\(terminal.text)")
            #expect(terminal.sees("written"), "\(terminal.text)")
        }
    }

    @Test("create with a terminal needs a console socket, and refuses one without a terminal")
    func consoleSocketMisuse() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            try bundle.writeConfig()
            bundle.expectFailure(
                try bundle.swrunc("create", "--bundle", bundle.directory, bundle.id),
                naming: ["cannot allocate tty if", "will detach without setting console socket"])
            bundle.process.terminal = false
            try bundle.writeConfig()
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            bundle.expectFailure(
                try bundle.swrunc(
                    "create", "--bundle", bundle.directory, "--console-socket", socket.path,
                    bundle.id),
                naming: ["cannot use console socket if", "will not detach or allocate tty"])
            #expect(!socket.isCalled(withinMilliseconds: 0))
        }
    }

    // MARK: Foreground

    @Test("run in the foreground relays the terminal, in raw mode meanwhile, and restores it")
    func foreground() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.script("echo ready; read word; echo got $word; exit 9")
            try bundle.writeConfig()
            let terminal = try Terminal()
            let before = terminal.modes
            let running = try bundle.start(
                ["run", "--bundle", bundle.directory, bundle.id], options(terminal))
            #expect(terminal.sees("ready"), "\(terminal.text)")
            #expect(!terminal.isCooked)
            try terminal.type("word\r")
            #expect(terminal.sees("got word"), "\(terminal.text)")
            #expect(try running.wait().status == 9)
            #expect(terminal.isCooked)
            let after = terminal.modes
            #expect(before.c_iflag == after.c_iflag && before.c_oflag == after.c_oflag)
            #expect(before.c_lflag == after.c_lflag && before.c_cflag == after.c_cflag)
        }
    }

    @Test("the terminal's size is passed on at the start and with every change")
    func resize() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.script("trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.05; done")
            try bundle.writeConfig()
            let terminal = try Terminal()
            try terminal.resize(rows: 31, columns: 77)
            let running = try bundle.start(
                ["run", "--bundle", bundle.directory, bundle.id], options(terminal))
            #expect(terminal.sees("31 77"), "\(terminal.text)")
            try terminal.resize(rows: 44, columns: 55)
            #expect(terminal.sees("44 55"), "\(terminal.text)")
            #expect(try running.wait().status == 0)
        }
    }

    @Test("the interrupt key reaches the process in the container, not the runtime")
    func interrupt() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.script(
                "trap 'echo stopped; exit 6' INT; echo ready; while :; do sleep 0.05; done")
            try bundle.writeConfig()
            let terminal = try Terminal()
            let running = try bundle.start(
                ["run", "--bundle", bundle.directory, bundle.id], options(terminal))
            #expect(terminal.sees("ready"), "\(terminal.text)")
            try terminal.type("\u{3}")
            #expect(terminal.sees("stopped"), "\(terminal.text)")
            #expect(try running.wait().status == 6)
        }
    }

    @Test("all terminal output arrives before run ends")
    func longOutput() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.script(
                "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo last")
            try bundle.writeConfig()
            let terminal = try Terminal()
            let running = try bundle.start(
                ["run", "--bundle", bundle.directory, bundle.id], options(terminal))
            #expect(terminal.sees("last", seconds: 15))
            #expect(try running.wait().status == 0)
            #expect(terminal.text.contains("line 2999"))
        }
    }

    @Test("a terminal in the container needs no terminal of the caller")
    func withoutTerminal() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.script("test -t 0 && test -t 1 && test -t 2 && echo terminal; exit 3")
            let done = try bundle.run()
            #expect(done.status == 3 && done.text == "terminal", "\(done)")
        }
    }

    // MARK: exec

    @Test("exec -t gives its process a terminal of the container")
    func exec() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let terminal = try Terminal()
            try terminal.resize(rows: 20, columns: 60)
            let running = try bundle.start(
                [
                    "exec", "-t", bundle.id, "sh", "-c",
                    "tty; stty size; read w; echo got $w; exit 8",
                ],
                options(terminal))
            #expect(terminal.sees("/dev/pts/0"), "\(terminal.text)")
            #expect(terminal.sees("20 60"), "\(terminal.text)")
            #expect(!terminal.isCooked)
            try terminal.type("word\r")
            #expect(terminal.sees("got word"), "\(terminal.text)")
            #expect(try running.wait().status == 8)
            #expect(terminal.isCooked)
        }
    }

    @Test("exec -t -d sends the terminal to the console socket")
    func execDetached() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            let done = try bundle.swrunc(
                "exec", "--tty", "--detach", "--console-socket", socket.path, bundle.id, "sh", "-c",
                "echo ready; read word; echo got $word")
            #expect(done.status == 0, "\(done)")
            let terminal = try socket.receive()
            #expect(terminal.sees("ready"), "\(terminal.text)")
            try terminal.type("word\n")
            #expect(terminal.sees("got word"), "\(terminal.text)")
        }
    }

    @Test("exec leaves the container's /dev/console alone")
    func execLeavesConsole() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            bundle.process.args = ["/bin/sleep", "100"]
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            try bundle.create("--console-socket", socket.path)
            let first = try socket.receive()
            let terminal = try Terminal()
            let running = try bundle.start(
                ["exec", "-t", bundle.id, "sh", "-c", "tty; echo for-console >/dev/console"],
                options(terminal))
            #expect(try running.wait().status == 0)
            #expect(terminal.sees("/dev/pts/1"), "\(terminal.text)")
            #expect(first.sees("for-console"), "\(first.text)")
        }
    }
}
