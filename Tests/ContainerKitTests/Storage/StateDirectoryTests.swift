// SPDX-License-Identifier: Apache-2.0

import CLinux
import Foundation
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("The state directory")
struct StateDirectoryTests {
    private let store: TemporaryDirectory

    init() throws {
        store = try TemporaryDirectory()
    }

    @Test("a container id can be taken only once")
    func exclusive() throws {
        let first = try StateDirectory.make("c", in: store.path)
        let error = #expect(throws: ContainerError.self) {
            _ = try StateDirectory.make("c", in: store.path)
        }
        #expect(error?.code == .alreadyExists)
        try first.remove()
        try StateDirectory.make("c", in: store.path).remove()
    }

    @Test("removing a deleted container's directory leaves a newer one of the same id")
    func removesOnlyItsOwn() throws {
        let old = try StateDirectory.make("c", in: store.path)
        #expect(rmdir(old.path) == 0)
        let new = try StateDirectory.make("c", in: store.path)
        try old.remove()
        let isCurrent = try new.isCurrent()
        #expect(isCurrent)
        try new.remove()
        #expect(access(new.path, F_OK) != 0)
    }

    @Test("a new state directory keeps its name, even while others delete it")
    func concurrentDeletes() async throws {
        let path = store.path
        let made = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    var made = 0
                    for _ in 0..<500 {
                        do throws(ContainerError) {
                            let state = try StateDirectory.make("c", in: path)
                            let isCurrent = try state.isCurrent()
                            #expect(isCurrent)
                            made += 1
                            try state.remove()
                        } catch {
                            #expect(error.code == .alreadyExists, "\(error)")
                        }
                    }
                    return made
                }
            }
            group.addTask {
                for _ in 0..<1000 {
                    guard let state = try StateDirectory.open("c", in: path) else { continue }
                    try state.lock()
                    if try state.isCurrent() { try state.remove() }
                }
                return 0
            }
            return try await group.reduce(0, +)
        }
        #expect(made > 0)
    }

    // MARK: Records

    private static let cgroups = """
        "cgroups": {"mode": "\(CgroupHierarchies.Mode.unified.rawValue)", "unifiedControllers": [], "directories":
        [{"controllers": [], "mountPoint": "/sys/fs/cgroup", "cgroup": "/c"}]}
        """

    @Test(
        "the init and cgroup of an unreadable record are recovered if they are in it",
        arguments: [
            (#"{"version": 2, "pid": 7, "startTime": 9, \#(cgroups)}"#, 7, 1),
            (#"{"pid": 7, "startTime": 9}"#, 7, 0),
            (#"{"pid": 7, \#(cgroups)}"#, 0, 1),
            (#"{"pid": -1, "startTime": 9, \#(cgroups)}"#, 0, 1),
        ] as [(String, Int32, Int)])
    func salvaged(_ json: String, _ pid: Int32, _ directories: Int) throws {
        let value = try JSONValue(json: Array(json.utf8))
        #expect(ContainerRecord(value) == nil)
        var record = ContainerRecord(salvaged: "c")
        record.salvage(value)
        #expect(record.pid == pid)
        #expect(record.cgroups.directories.count == directories)
        #expect(try directories > 0 || Cgroup(record.cgroups).isEmpty)
    }

    /// A record as written by version 0.1.
    private static let whole = """
        {"version":1,"id":"c","ociVersion":"1.3.0","bundle":"/b","rootfs":"/r","created":"2026-01-02T03:04:05Z",\
        "annotations":{"a":"1","b":"2"},"complete":true,"pid":7,"startTime":9,"pidNamespace":true,\
        "sessionKeyring":false,"pausedBeforeStart":true,"rootMount":"12",\
        "hooks":{"poststop":[{"path":"/h"}]},"resctrlGroups":["/g"],"ownResctrlGroups":["/o"],\
        "cgroups":{"mode":"v2","directories":[{"controllers":[],"mountPoint":"/m","cgroup":"/c"}],\
        "unifiedControllers":["cpu"]},"startWaitIndex":3,"lastInstructions":[{"index":4,\
        "field":"process.args","call":"execve","arguments":"x","note":"n"}]}
        """
    private static let least = """
        {"version":1,"id":"c","ociVersion":"1.3.0","bundle":"/b","rootfs":"/r","created":"",\
        "annotations":{},"complete":false,"pid":0,"startTime":0,"pidNamespace":false,\
        "sessionKeyring":true,"cgroups":{"mode":"v1","directories":[],"unifiedControllers":[]},\
        "startWaitIndex":0,"lastInstructions":[]}
        """

    @Test(
        "but for added members a record is written byte for byte as by 0.1, and can be read",
        arguments: [whole, least])
    func writtenAsBefore(_ text: String) throws {
        let record = try #require(try ContainerRecord(JSONValue(json: Array(text.utf8))))
        #expect(String(decoding: record.json.asInFirstVersion.encoded(), as: UTF8.self) == text)
        guard text == Self.whole else { return }
        #expect(record.pid == 7 && record.startTime == 9 && record.rootMount == 12)
        #expect(record.hooks?.poststop?.first?.path == "/h" && record.hasProgram)
    }

    @Test("the start of a record tells the state of a running container: freezer, no other cgroup")
    func startOfRecord() throws {
        let directories = ["cpu", "freezer"].map {
            CgroupDirectory(controllers: [$0], mountPoint: "/\($0)", cgroup: "/c")
        }
        var record = ContainerRecord(
            id: "c", ociVersion: "1.3.0", bundle: "/b", rootfs: "/r", created: "",
            annotations: ["a": "1"],
            cgroups: CgroupLayout(mode: .legacy, directories: directories, unifiedControllers: []))
        (record.pid, record.startTime, record.hasPidNamespace) = (7, 9, true)
        // It is being created: the whole record is needed.
        #expect(ContainerRecord(stateOf: record.json.encoded()) == nil)
        record.isComplete = true
        let text = record.json.encoded()
        let start = try #require(ContainerRecord(stateOf: text))
        #expect(start.cgroups.directories == [directories[1]] && start.annotations == ["a": "1"])
        #expect(start.pid == 7 && start.startTime == 9 && start.hasPidNamespace)
        #expect(try ContainerRecord(JSONValue(json: text)) == record)
        // Without a freezer the state needs the rest: version 0.1 wrote none.
        record.cgroups = CgroupLayout(
            mode: .legacy, directories: [directories[0]], unifiedControllers: [])
        #expect(ContainerRecord(stateOf: record.json.encoded()) == nil)
    }

    @Test("fields that were added in later versions may be missing in a record")
    func missingMembers() throws {
        let text = """
            {"version": 1, "id": "c", "ociVersion": "1.3.0", "bundle": "/b", "rootfs": "/r",
            "created": "", "pid": 7, "startTime": 9, \(Self.cgroups)}
            """
        let record = try #require(try ContainerRecord(JSONValue(json: Array(text.utf8))))
        #expect(!record.isComplete && record.hasSessionKeyring && record.hooks == nil)
        #expect(record.annotations.isEmpty && record.lastInstructions.isEmpty)
    }

    @Test(
        "nothing is recovered from a record that has neither an init nor a cgroup",
        arguments: ["{}", "[]", #"{"pid": 7}"#])
    func nothingToSalvage(_ json: String) throws {
        var record = ContainerRecord(salvaged: "c")
        record.salvage(try JSONValue(json: Array(json.utf8)))
        #expect(record.pid == 0 && record.cgroups.directories.isEmpty)
    }

    @Test(
        "a record with a field of the wrong type is damaged as a whole",
        arguments: [
            #""pid": "7""#, #""pid": 2147483648"#, #""pid": -1"#, #""complete": "yes""#,
            #""pidNamespace": 1"#, #""annotations": []"#, #""annotations": {"a": 1}"#,
            #""hooks": 5"#, #""ownResctrlGroups": "/a""#, #""ownResctrlGroups": [1]"#,
            #""lastInstructions": [{}]"#, #""version": 0"#,
        ])
    func wrongTypes(_ member: String) throws {
        let good = """
            {"version": 1, "id": "c", "ociVersion": "1.3.0", "bundle": "/b", "rootfs": "/r",
            "created": "", "annotations": {}, "pid": 7, "startTime": 9, \(Self.cgroups)}
            """
        #expect(try ContainerRecord(JSONValue(json: Array(good.utf8))) != nil)
        guard case .object(let object) = try JSONValue(json: Array(good.utf8)),
            case .object(let wrong) = try JSONValue(json: Array("{\(member)}".utf8))
        else { return }
        var changed = wrong
        for other in object.members where wrong[other.key] == nil {
            changed.append(other.key, other.value)
        }
        #expect(ContainerRecord(.object(changed)) == nil)
    }

    // MARK: Whom to believe

    @Test("a state directory that others may write to is refused with its path and mode")
    func writableByOthers() throws {
        let made = try StateDirectory.make("c", in: store.path)
        chmod(made.path, 0o733)
        let error = #expect(throws: ContainerError.self) {
            _ = try StateDirectory.open("c", in: store.path)
        }
        #expect(error?.code == .state)
        #expect(error?.message.contains("\(made.path) (mode 0733)") == true)
    }

    @Test(
        "a state directory of another user is refused", .enabled(if: geteuid() == 0, "needs root"))
    func ofAnotherUser() throws {
        let made = try StateDirectory.make("c", in: store.path)
        chown(made.path, 1000, 1000)
        let error = #expect(throws: ContainerError.self) {
            _ = try StateDirectory.open("c", in: store.path)
        }
        #expect(error?.code == .state)
        #expect(error?.message.contains("belongs to user 1000") == true)
    }

    @Test("a record is refused if its container id is not that of its directory")
    func otherID() throws {
        let made = try StateDirectory.make("c", in: store.path)
        try made.stage(
            ContainerRecord(
                id: "d", ociVersion: "", bundle: "", rootfs: "", created: "", annotations: [:],
                cgroups: .empty))
        try made.putFirstRecordInPlace()
        #expect(throws: ContainerError.self) { _ = try made.readRecord("c") }
        #expect(try made.readRecord("d") != nil)
    }

    @Test("the state lock is reported as held until its holder releases it")
    func lockTaken() throws {
        let made = try StateDirectory.make("c", in: store.path)
        guard let other = try StateDirectory.open("c", in: store.path) else {
            Issue.record("not there")
            return
        }
        let whileHeld = try other.tryLock()
        #expect(!whileHeld)
        made.unlock()
        let afterwards = try other.tryLock()
        #expect(afterwards)
    }

    @Test("an empty state directory belongs to no container only if it never held a file")
    func emptied() throws {
        let fresh = try StateDirectory.make("a", in: store.path)
        let isFresh = try fresh.isOfNoContainer()
        #expect(isFresh)
        let path = "\(store.path)/a/file"
        usleep(20_000)
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        unlink(path)
        guard let emptied = try StateDirectory.open("a", in: store.path) else {
            Issue.record("not there")
            return
        }
        let isOfNone = try emptied.isOfNoContainer()
        // If the file system has no creation times, the answer stays open.
        #expect(!isOfNone || emptied.opened.stx_mask & 0x800 == 0)
    }
}
