// SPDX-License-Identifier: Apache-2.0

internal import RuntimeSpec
internal import SystemPackage

/// What the state directory remembers of a container: one versioned JSON object.
///
/// Fields are only ever added; a reader of a later version reads all earlier ones.
struct ContainerRecord: Equatable, Sendable {
    /// Raised when a field changes its meaning.
    static let version: Int64 = 1

    /// The container's id.
    var id: String
    /// `ociVersion` of the config.
    var ociVersion: String
    /// The absolute path of the bundle.
    var bundle: String
    /// The absolute path of the rootfs.
    var rootfs: String
    /// When it was created, in RFC 3339.
    var created: String
    /// Annotations of the config.
    var annotations: [String: String]
    /// Whether the launch came so far that init waits; a record without it is of a launch that is
    /// under way, or died.
    var isComplete = false
    /// Init's pid; 0 before it is there.
    var pid: Int32 = 0
    /// Init's start time in clock ticks since boot, which tells a reused pid apart.
    var startTime: UInt64 = 0
    /// Whether init has a pid namespace of its own, which dies with it.
    var hasPidNamespace = false
    /// Whether it has a session keyring of its own.
    var hasSessionKeyring = true
    /// What tells the mount of its root from others, where it is in the host's table of mounts.
    var rootMount: UInt64?
    /// The hooks that start and delete run; nil when there are none.
    var hooks: Hooks?
    /// The groups of resctrl that its processes belong to.
    var resctrlGroups: [String] = []
    /// The groups of resctrl that go with it.
    var ownResctrlGroups: [String] = []
    /// The directories of its cgroup.
    var cgroups: CgroupLayout
    /// Whether it was paused before it was started.
    ///
    /// Only then `start` and `state` have to look whether a created container is frozen.
    var isPausedBeforeStart = false
    /// The instruction at which init waits for start.
    var startWaitIndex = 0
    /// What the instructions from there on are, to name one that fails.
    var lastInstructions: [RecordedInstruction] = []

    /// Whether its config had a process.
    var hasProgram: Bool {
        lastInstructions.contains(where: \.isExecution)
    }

    var json: JSONValue {
        var object: JSONObject = ["version": .integer(Self.version), "id": .string(id)]
        object.append("ociVersion", .string(ociVersion))
        object.append("bundle", .string(bundle))
        object.append("rootfs", .string(rootfs))
        object.append("created", .string(created))
        var notes = JSONObject()
        for (key, value) in annotations.sorted(by: { $0.key < $1.key }) {
            notes.append(key, .string(value))
        }
        object.append("annotations", .object(notes))
        object.append("complete", .bool(isComplete))
        object.append("pid", .integer(Int64(pid)))
        object.append("startTime", .integer(Int64(startTime)))
        object.append("pidNamespace", .bool(hasPidNamespace))
        object.append("sessionKeyring", .bool(hasSessionKeyring))
        if isPausedBeforeStart { object.append("pausedBeforeStart", .bool(true)) }
        if let rootMount { object.append("rootMount", .string(String(rootMount))) }
        if let hooks { object.append("hooks", hooks.encoded) }
        for (key, groups) in [
            ("resctrlGroups", resctrlGroups), ("ownResctrlGroups", ownResctrlGroups),
        ] where !groups.isEmpty {
            object.append(key, .array(groups.map { .string($0) }))
        }
        object.append("cgroups", cgroups.record)
        object.append("startWaitIndex", .integer(Int64(startWaitIndex)))
        object.append("lastInstructions", .array(lastInstructions.map(\.json)))
        return .object(object)
    }

    init(
        id: String, ociVersion: String, bundle: String, rootfs: String, created: String,
        annotations: [String: String], cgroups: CgroupLayout
    ) {
        self.id = id
        self.ociVersion = ociVersion
        self.bundle = bundle
        self.rootfs = rootfs
        self.created = created
        self.annotations = annotations
        self.cgroups = cgroups
    }

    /// Reads a record; nil when it is not one, or of a later version.
    init?(_ value: JSONValue) {
        guard case .object(let object) = value,
            case .integer(let version)? = object["version"], version <= Self.version,
            case .string(let id)? = object["id"],
            case .string(let ociVersion)? = object["ociVersion"],
            case .string(let bundle)? = object["bundle"],
            case .string(let rootfs)? = object["rootfs"],
            case .string(let created)? = object["created"],
            case .integer(let pid)? = object["pid"],
            case .integer(let startTime)? = object["startTime"],
            let layout = object["cgroups"].flatMap(CgroupLayout.init(record:))
        else { return nil }
        var annotations: [String: String] = [:]
        if case .object(let notes)? = object["annotations"] {
            for member in notes.members {
                if case .string(let text) = member.value { annotations[member.key] = text }
            }
        }
        self.init(
            id: id, ociVersion: ociVersion, bundle: bundle, rootfs: rootfs, created: created,
            annotations: annotations, cgroups: layout)
        self.pid = Int32(truncatingIfNeeded: pid)
        self.startTime = UInt64(bitPattern: startTime)
        isComplete = object["complete"] == .bool(true)
        hasPidNamespace = object["pidNamespace"] == .bool(true)
        hasSessionKeyring = object["sessionKeyring"] != .bool(false)
        isPausedBeforeStart = object["pausedBeforeStart"] == .bool(true)
        if case .string(let mount)? = object["rootMount"] { rootMount = UInt64(mount) }
        hooks = object["hooks"].flatMap { try? Hooks(encoded: $0) }
        resctrlGroups = Self.texts(object["resctrlGroups"])
        ownResctrlGroups = Self.texts(object["ownResctrlGroups"])
        if case .integer(let index)? = object["startWaitIndex"] { startWaitIndex = Int(index) }
        if case .array(let list)? = object["lastInstructions"] {
            lastInstructions = list.compactMap(RecordedInstruction.init)
        }
    }
}

extension ContainerRecord {
    private static func texts(_ value: JSONValue?) -> [String] {
        guard case .array(let list)? = value else { return [] }
        return list.compactMap { if case .string(let text) = $0 { text } else { nil } }
    }

    /// What is needed to end a container whose record is of a later version, or lacks what others need.
    ///
    /// Nil when it tells neither init, which needs its start time to be known again, nor a cgroup. A
    /// cgroup that cannot be read is one without directories.
    init?(salvaging value: JSONValue, id: String) {
        guard case .object(let object) = value else { return nil }
        let layout = object["cgroups"].flatMap(CgroupLayout.init(record:))
        self.init(
            id: id, ociVersion: "", bundle: "", rootfs: "", created: "", annotations: [:],
            cgroups: layout
                ?? CgroupLayout(mode: .legacy, directories: [], unifiedControllers: []))
        if case .integer(let number)? = object["pid"], let pid = Int32(exactly: number), pid > 0,
            case .integer(let startTime)? = object["startTime"]
        {
            self.pid = pid
            self.startTime = UInt64(bitPattern: startTime)
        }
        guard pid > 0 || layout != nil else { return nil }
        isComplete = object["complete"] != .bool(false)
    }

    /// Takes the mounts of a container without a mount namespace of its own from the host's table.
    func detachRootMount() throws(SystemCallError) {
        guard let rootMount else { return }
        do {
            try detachMount(rootMount, at: rootfs)
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            // Whoever removed the directory has taken the mount off before.
        }
    }
}

/// One instruction as an error names it.
struct RecordedInstruction: Equatable, Sendable {
    /// Its index in the program.
    var index: Int
    /// The config field of its step.
    var field: String
    /// The call's name; empty where the program stops by itself.
    var call: String
    /// The call's arguments, ready to print.
    var arguments: String
    /// What its failure means.
    var note: String

    var json: JSONValue {
        .object([
            "index": .integer(Int64(index)), "field": .string(field), "call": .string(call),
            "arguments": .string(arguments), "note": .string(note),
        ])
    }

    init(index: Int, field: String, call: String, arguments: String, note: String) {
        self.index = index
        self.field = field
        self.call = call
        self.arguments = arguments
        self.note = note
    }

    init?(_ value: JSONValue) {
        guard case .object(let object) = value, case .integer(let index)? = object["index"],
            case .string(let field)? = object["field"], case .string(let call)? = object["call"],
            case .string(let arguments)? = object["arguments"],
            case .string(let note)? = object["note"]
        else { return nil }
        self.init(index: Int(index), field: field, call: call, arguments: arguments, note: note)
    }
}

extension RecordedInstruction {
    /// Whether it replaces init by the config's program.
    var isExecution: Bool { call == "execve" && field == "process.args" }
}
