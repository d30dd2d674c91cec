// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Testing

@testable import swrunc

@Suite("Flags of exec")
struct ExecFlagsTests {
    private let template = Process(
        terminal: true, user: User(uid: 7, gid: 8, additionalGids: [9]), args: ["sleep"],
        env: ["PATH=/bin"], cwd: "/home",
        capabilities: Capabilities(bounding: ["CAP_KILL"], inheritable: ["CAP_CHOWN"]),
        noNewPrivileges: true)

    private func changed(_ words: String...) throws -> Process {
        let arguments = try Command.exec.parse(words + ["id", "sh", "-c", "true"])
        let program = Array(arguments.words.dropFirst())
        return try ExecFlags.changed(template, by: arguments, running: program)
    }

    @Test("without flags only the program and the terminal differ from the container's process")
    func plain() throws {
        var expected = template
        expected.args = ["sh", "-c", "true"]
        expected.terminal = false
        #expect(try changed() == expected)
    }

    @Test("each flag of exec changes only the field that it names")
    func overrides() throws {
        let process = try changed(
            "-t", "-e", "A=1,2", "--env=B=2", "--cwd", "/tmp", "-u", "1:2", "-g", "3",
            "--additional-gids=4", "--no-new-privs=false", "--apparmor=p",
            "--process-label", "u:r:t")
        #expect(process.terminal)
        #expect(process.env == ["PATH=/bin", "A=1,2", "B=2"])
        #expect(process.cwd == "/tmp")
        #expect(process.user == User(uid: 1, gid: 2, additionalGids: [9, 3, 4]))
        #expect(!process.noNewPrivileges)
        #expect(process.apparmorProfile == "p" && process.selinuxLabel == "u:r:t")
    }

    @Test("a user without a group keeps the group of the container's process")
    func userAlone() throws {
        #expect(try changed("-u", "1").user == User(uid: 1, gid: 8, additionalGids: [9]))
    }

    @Test(
        "--cap never makes a capability inheritable, and makes it ambient only if it is inheritable"
    )
    func capabilities() throws {
        let process = try changed("--cap", "CAP_CHOWN", "-c", "CAP_SYS_PTRACE")
        let sets = try #require(process.capabilities)
        #expect(sets.bounding == ["CAP_KILL", "CAP_CHOWN", "CAP_SYS_PTRACE"])
        #expect(sets.effective == ["CAP_CHOWN", "CAP_SYS_PTRACE"])
        #expect(sets.permitted == ["CAP_CHOWN", "CAP_SYS_PTRACE"])
        #expect(sets.inheritable == ["CAP_CHOWN"])
        #expect(sets.ambient == ["CAP_CHOWN"])
    }

    @Test(
        "--user takes a decimal user id, or a user id and a group id",
        arguments: [
            ("1", 1, nil), ("0", 0, nil), ("1:1", 1, 1),
            ("4294967294:4294967294", .max - 1, .max - 1),
        ] as [(String, UInt32, UInt32?)])
    func users(_ text: String, _ uid: UInt32, _ gid: UInt32?) throws {
        let user = try ExecFlags.readUser(text)
        #expect(user.uid == uid)
        #expect(user.gid == gid)
    }

    @Test(
        "--user refuses anything else, and never reads a part of it as root",
        arguments: [
            "", ":", "1:", ":1", "0x", "0x1", "1x", "x", "-1", "+1", "1:-1", "1:x", "1:1:1", " 1",
            "root", "4294967295", "1:4294967295", "4294967296", "18446744073709551616", "١",
        ])
    func wrongUsers(_ text: String) throws {
        let error = #expect(throws: ContainerError.self) { try ExecFlags.readUser(text) }
        #expect(error?.code == .invalidArgument)
        #expect(
            error?.message
                == "--user \(text.debugDescription): expected UID or UID:GID in decimal numbers")
        #expect(throws: ContainerError.self) { try changed("--user=\(text)") }
    }

    @Test(
        "an additional group that is not a valid id is refused",
        arguments: ["", "x", "-1", "4294967295"])
    func wrongGroups(_ text: String) {
        let error = #expect(throws: ContainerError.self) { try changed("-g=\(text)") }
        #expect(
            error?.message
                == "--additional-gids \(text.debugDescription): expected a group number")
    }

    @Test(
        "a flag that contradicts --process is refused; a program beside --process has no effect",
        arguments: [
            (["id"], nil), (["-t", "id"], nil),
            (["-t=false", "id"], "--process and --tty exclude each other"),
            (["-e", "A=B", "id"], "--process and --env exclude each other"),
            (["-u", "1", "id"], "--process and --user exclude each other"),
            (["--apparmor", "p", "id"], "--process and --apparmor exclude each other"),
            (["id", "sh", "-c", "true"], nil),
        ] as [([String], String?)])
    func processFile(_ words: [String], _ message: String?) throws {
        let arguments = try Command.exec.parse(["--process", "/p"] + words)
        do throws(ContainerError) {
            try ExecFlags.refuseOverrides(of: template, in: arguments)
            #expect(message == nil)
        } catch {
            #expect(error.message == message)
        }
    }

    @Test("--cgroup takes one path for all controllers, or one for each controller that it names")
    func subcgroups() throws {
        #expect(try ExecFlags.subcgroups([]) == [:])
        #expect(try ExecFlags.subcgroups(["a/b"]) == ["": "a/b"])
        #expect(
            try ExecFlags.subcgroups(["cpu,cpuacct:a", "memory:/"])
                == ["cpu": "a", "cpuacct": "a", "memory": "/"])
        for (texts, message) in [
            (["a", "b"], "invalid --cgroup argument: a (missing <controller>: prefix)"),
            ([":a"], "invalid --cgroup argument: :a (empty <controller> prefix)"),
            (["cpu,:a"], "invalid --cgroup argument: cpu,:a (empty <controller> prefix)"),
            (
                ["cpu:a", "cpu:b"],
                "invalid --cgroup argument(s): controller cpu specified multiple times"
            ),
        ] {
            let error = #expect(throws: ContainerError.self) {
                try ExecFlags.subcgroups(texts)
            }
            #expect(error?.message == message)
        }
    }
}
