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
    ///
    /// A member that is there has to be what it should be: one that is not tells that others are not
    /// what was written, either.
    init?(_ value: JSONValue) {
        guard case .object(let object) = value else { return nil }
        var members = RecordMembers(object)
        let version = members.integer("version")
        let layout = object["cgroups"].flatMap(CgroupLayout.init(record:))
        guard let version, (1...Self.version).contains(version), let layout,
            let id = members.text("id"), let ociVersion = members.text("ociVersion"),
            let bundle = members.text("bundle"), let rootfs = members.text("rootfs"),
            let created = members.text("created"), let pid = members.integer("pid"),
            let pid = Int32(exactly: pid), pid >= 0, let startTime = members.integer("startTime")
        else { return nil }
        self.init(
            id: id, ociVersion: ociVersion, bundle: bundle, rootfs: rootfs, created: created,
            annotations: members.texts("annotations"), cgroups: layout)
        self.pid = pid
        self.startTime = UInt64(bitPattern: startTime)
        isComplete = members.flag("complete") ?? false
        hasPidNamespace = members.flag("pidNamespace") ?? false
        hasSessionKeyring = members.flag("sessionKeyring") ?? true
        isPausedBeforeStart = members.flag("pausedBeforeStart") ?? false
        rootMount = members.text("rootMount").flatMap { UInt64($0) }
        hooks = members.hooks("hooks")
        resctrlGroups = members.list("resctrlGroups")
        ownResctrlGroups = members.list("ownResctrlGroups")
        startWaitIndex = Int(members.integer("startWaitIndex") ?? 0)
        lastInstructions = members.instructions("lastInstructions")
        guard members.areValid else { return nil }
    }
}

/// The members of a record, as far as they are of the types that were written.
private struct RecordMembers {
    private let object: JSONObject
    /// Whether none was of another type so far.
    private(set) var areValid = true

    init(_ object: JSONObject) {
        self.object = object
    }

    private mutating func member<Value>(
        _ name: String, _ read: (JSONValue) -> Value?
    ) -> Value? {
        guard let value = object[name] else { return nil }
        let result = read(value)
        if result == nil { areValid = false }
        return result
    }

    mutating func text(_ name: String) -> String? {
        member(name) { if case .string(let text) = $0 { text } else { nil } }
    }

    mutating func integer(_ name: String) -> Int64? {
        member(name) { if case .integer(let number) = $0 { number } else { nil } }
    }

    mutating func flag(_ name: String) -> Bool? {
        member(name) { if case .bool(let flag) = $0 { flag } else { nil } }
    }

    mutating func hooks(_ name: String) -> Hooks? {
        member(name) { try? Hooks(encoded: $0) }
    }

    mutating func list(_ name: String) -> [String] {
        elements(name) { if case .string(let text) = $0 { text } else { nil } }
    }

    mutating func instructions(_ name: String) -> [RecordedInstruction] {
        elements(name, RecordedInstruction.init)
    }

    private mutating func elements<Element>(
        _ name: String, _ read: (JSONValue) -> Element?
    ) -> [Element] {
        let list = member(name) { (value) -> [Element]? in
            guard case .array(let items) = value else { return nil }
            let elements = items.compactMap(read)
            return elements.count == items.count ? elements : nil
        }
        return list ?? []
    }

    mutating func texts(_ name: String) -> [String: String] {
        let texts = member(name) { (value) -> [String: String]? in
            guard case .object(let members) = value else { return nil }
            var texts: [String: String] = [:]
            for member in members.members {
                guard case .string(let text) = member.value else { return nil }
                texts[member.key] = text
            }
            return texts
        }
        return texts ?? [:]
    }
}

extension ContainerRecord {
    /// A record of a container of which nothing is known yet, for `salvage`.
    init(salvaged id: String) {
        self.init(
            id: id, ociVersion: "", bundle: "", rootfs: "", created: "", annotations: [:],
            cgroups: CgroupLayout(mode: .legacy, directories: [], unifiedControllers: []))
        isComplete = true
    }

    /// Takes over what helps to end a container from a record that is of a later version, or lacks what
    /// others need.
    ///
    /// Init needs its start time to be known again. A cgroup that cannot be read is one without
    /// directories.
    mutating func salvage(_ value: JSONValue) {
        guard case .object(let object) = value else { return }
        var members = RecordMembers(object)
        if let number = members.integer("pid"), let pid = Int32(exactly: number), pid > 0,
            let startTime = members.integer("startTime")
        {
            self.pid = pid
            self.startTime = UInt64(bitPattern: startTime)
        }
        if let layout = object["cgroups"].flatMap(CgroupLayout.init(record:)) { cgroups = layout }
        isComplete = members.flag("complete") ?? true
        hasPidNamespace = members.flag("pidNamespace") ?? false
        bundle = members.text("bundle") ?? ""
        rootfs = members.text("rootfs") ?? ""
        rootMount = members.text("rootMount").flatMap { UInt64($0) }
        hooks = members.hooks("hooks")
        ownResctrlGroups = members.list("ownResctrlGroups")
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
    /// What asks for its step.
    var origin: Origin
    /// The call's name; empty where the program stops by itself.
    var call: String
    /// The call's arguments, ready to print.
    var arguments: String
    /// What its failure means.
    var note: String

    var json: JSONValue {
        .object([
            "index": .integer(Int64(index)), "field": .string(origin.description),
            "call": .string(call),
            "arguments": .string(arguments), "note": .string(note),
        ])
    }

    init(index: Int, origin: Origin, call: String, arguments: String, note: String) {
        self.index = index
        self.origin = origin
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
        self.init(
            index: Int(index),
            origin: field == Origin.runtime.description ? .runtime : .config(field), call: call,
            arguments: arguments, note: note)
    }
}

extension RecordedInstruction {
    /// Whether it replaces init by the config's program.
    var isExecution: Bool { call == "execve" && origin == "process.args" }
}
