// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// Damage to the files of a state directory by a crash, a full disk or a person.
enum Damage: String, CaseIterable, Sendable {
    case cutShort, empty, missing, garbage, laterVersion, wrongType, otherID
    case directory, pipe, link, huge
    case noConfig, badConfig, noProgress, recordAndProgress, recordAndConfig
    case allButNames, nothingLeft

    /// Whether the container's processes cannot be determined any more.
    var isSilent: Bool { self == .allButNames || self == .nothingLeft }

    /// Whether commands that only need the record still work.
    var sparesRecord: Bool { self == .noConfig || self == .badConfig || self == .noProgress }

    func apply(to directory: String) throws {
        let record = "\(directory)/state.json"
        let text = try readText(record)
        func cut(_ name: String) throws { try writeText("", to: "\(directory)/\(name)") }
        switch self {
        case .cutShort: try writeText(String(text.prefix(100)), to: record)
        case .empty: try cut("state.json")
        case .missing: unlink(record)
        case .garbage: try writeText(String(text.reversed()), to: record)
        case .laterVersion:
            try writeText(text.replacing(#""version":1"#, with: #""version":77"#), to: record)
        case .wrongType:
            try writeText(text.replacing(/"pid":\d+/, with: #""pid":"x""#), to: record)
        case .otherID: try writeText(text.replacing(/"id":"/, with: #""id":"x"#), to: record)
        case .directory:
            unlink(record)
            try makeDirectory(record)
        case .pipe:
            unlink(record)
            try check(mkfifo(record, 0o600), "mkfifo")
        case .link:
            try check(rename(record, "\(directory)/../../moved"), "rename")
            try check(symlink("../../moved", record), "symlink")
        case .huge: try check(truncate(record, 100 << 20), "truncate")
        case .noConfig: unlink("\(directory)/config.json")
        case .badConfig: try writeText("{", to: "\(directory)/config.json")
        case .noProgress: unlink("\(directory)/progress")
        case .recordAndProgress:
            try cut("state.json")
            try cut("progress")
        case .recordAndConfig:
            try cut("state.json")
            unlink("\(directory)/config.json")
        case .allButNames:
            for name in entries(of: directory) where name != "start" { try cut(name) }
        case .nothingLeft:
            usleep(20_000)
            for name in entries(of: directory) { unlink("\(directory)/\(name)") }
        }
    }
}

@Suite("Damaged state", Host.root)
struct DamagedStateTests {
    @Test(
        "delete --force ends a container with damaged files, or fails and keeps all of it",
        arguments: Damage.allCases, [State.Status.created, .running])
    func forcedDelete(_ damage: Damage, _ status: State.Status) throws {
        try TestBundle.use { bundle throws in
            if status == .running { try bundle.startSleeping() } else { try bundle.create() }
            let pid = pid_t(try bundle.state().pid)
            let directory = "\(bundle.store)/\(bundle.id)"
            try damage.apply(to: directory)
            let done = try bundle.swrunc("delete", "--force", bundle.id)
            if damage.isSilent {
                bundle.expectFailure(
                    done, naming: [directory, "do not tell which processes are the container's"])
                #expect(!hasEnded(pid))
                #expect(bundle.leftovers.states() == [directory])
                kill(pid, SIGKILL)
                #expect(waits { hasEnded(pid) })
                bundle.leftovers.remove()
            } else {
                #expect(done.status == 0 && done.error == "", "\(done)")
                #expect(hasEnded(pid))
                #expect(bundle.leftovers.found() == [])
            }
        }
    }

    @Test(
        "every command reports damaged state with the file's path, and does not block",
        arguments: Damage.allCases.filter { !$0.sparesRecord && $0 != .nothingLeft })
    func commands(_ damage: Damage) throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let pid = pid_t(try bundle.state().pid)
            let path = "\(bundle.store)/\(bundle.id)/state.json"
            try damage.apply(to: "\(bundle.store)/\(bundle.id)")
            var options = CommandOptions()
            options.timeLimitSeconds = 20 * Double(Host.slowness)
            for command in ["state", "kill", "start", "pause", "resume", "ps", "delete", "exec"] {
                let isExec = command == "exec"
                let words = [command, bundle.id] + (isExec ? ["true"] : [])
                let done = try bundle.start(words, options).wait()
                bundle.expectFailure(
                    done, status: isExec ? 255 : 1,
                    naming: [path, "missing, damaged or of a later version"])
            }
            // The list stays readable for engines.
            let list = try bundle.swrunc("list", "--format", "json")
            #expect(list.status == 0 && list.text == "null", "\(list)")
            #expect(list.error.contains("load container \(bundle.id): \(path)"), "\(list)")
            #expect(!hasEnded(pid))
            kill(pid, SIGKILL)
            #expect(waits { hasEnded(pid) })
            if damage == .allButNames || damage == .recordAndConfig { bundle.leftovers.remove() }
        }
    }

    @Test("delete --force tells that cgroups may remain if neither record nor config names them")
    func lostCgroup() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            #expect(try bundle.swrunc("kill", bundle.id, "KILL").status == 0)
            #expect(try bundle.waits(for: .stopped))
            let state = "\(bundle.store)/\(bundle.id)"
            try writeText("{}", to: "\(state)/state.json")
            try check(truncate("\(state)/config.json", 100), "truncate")
            let done = try bundle.swrunc("delete", "--force", bundle.id)
            #expect(done.status == 0 && done.error.lines.count == 1, "\(done)")
            #expect(done.message.contains("cgroups of the container are not known"), "\(done)")
            #expect(bundle.leftovers.states() == [] && bundle.leftovers.processes().isEmpty)
            for cgroup in bundle.leftovers.cgroups() { rmdir(cgroup) }
        }
    }

    @Test("delete --regex --force also deletes containers whose state is damaged")
    func regex() throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            try Damage.empty.apply(to: "\(bundle.store)/\(bundle.id)")
            let done = try bundle.swrunc("delete", "--regex", "--force", bundle.id)
            #expect(done.status == 0, "\(done)")
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test(
        "without a usable /proc a container is neither taken for stopped nor deleted",
        arguments: ["mount -t tmpfs none /proc", "mount -t proc -o hidepid=2 none /proc"])
    func hiddenProcess(_ hide: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let pid = pid_t(try bundle.state().pid)
            // Without the capabilities that override hidepid.
            let drop = "--bounding-set=-sys_ptrace --inh-caps=-sys_ptrace"
            for command in ["state", "delete", "delete --force", "kill", "exec"] {
                let words = "\(Host.runtime) --root \(bundle.store) \(command) \(bundle.id)"
                let script =
                    "\(hide) && exec setpriv \(drop) \(words)\(command == "exec" ? " true" : "")"
                let done = try RunningCommand(
                    ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script], token: bundle.token
                ).wait()
                // hidepid does not hide processes of the same user that the user may trace.
                guard !hide.contains("hidepid") || done.status != 0 else { continue }
                #expect(done.status != 0, "\(command): \(done)")
                #expect(!done.error.contains("not running"), "\(command): \(done)")
                let isStopped =
                    done.error.contains("stopped") && !done.error.contains("is not stopped")
                #expect(!isStopped, "\(command): \(done)")
            }
            guard !hide.contains("hidepid") else { return }
            #expect(!hasEnded(pid))
            #expect(try bundle.state().status == .running)
        }
    }

    @Test("commands refuse state that another user owns or may write to")
    func foreign() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let pid = pid_t(try bundle.state().pid)
            let directory = "\(bundle.store)/\(bundle.id)"
            for (damage, word) in [("chown 1234", "user 1234"), ("chmod 777", "mode 0777")] {
                let changed = try RunningCommand(
                    [Host.busybox] + damage.split(separator: " ").map(String.init) + [directory],
                    token: bundle.token
                ).wait()
                try #require(changed.status == 0)
                for words in [["state"], ["kill"], ["delete"], ["delete", "--force"]] {
                    let done = try bundle.start(words + [bundle.id]).wait()
                    bundle.expectFailure(done, naming: [directory, word, "not trusted"])
                }
                let list = try bundle.swrunc("list", "-q")
                #expect(list.status == 0 && list.text == "", "\(list)")
                #expect(list.error.contains(word), "\(list)")
                chown(directory, 0, 0)
                chmod(directory, 0o711)
            }
            #expect(!hasEnded(pid))
        }
    }
}
