// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
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
    /// How many processes the kernel had killed in that for want of memory before.
    var outOfMemoryKillsBefore: UInt64 = 0
    /// The pipes among the standard streams that it was started with, as links of procfs name them.
    var pipes: [String] = []
    /// Whether it was paused before it was started.
    ///
    /// Only then `start` and `state` have to look whether a created container is frozen.
    var isPausedBeforeStart = false
    /// The instruction at which init waits for start.
    var startWaitIndex = 0
    /// What the instructions from there on are, to name one that fails.
    var lastInstructions: [RecordedInstruction] = []

    /// The first instruction of each of init's steps; empty where init followed no plan.
    var stepStarts: [Int] = []
    /// What the plan depended on beside config and host, for who makes it again.
    var choices: JSONValue?

    /// Whether its config had a process.
    var hasProgram: Bool {
        lastInstructions.contains(where: \.isExecution)
    }

    var json: JSONValue {
        var copy = self
        var fields = RecordFields()
        copy.visit(&fields)
        return fields.written
    }

    /// Shows every member to `fields`, which reads or writes it.
    private mutating func visit(_ fields: inout RecordFields) {
        var version = Self.version
        fields.number("version", &version)
        if !(1...Self.version).contains(version) { fields.refuse() }
        fields.text("id", &id)
        fields.text("ociVersion", &ociVersion)
        fields.text("bundle", &bundle)
        fields.text("rootfs", &rootfs)
        fields.text("created", &created)
        fields.texts("annotations", &annotations)
        fields.flag("complete", &isComplete)
        fields.number("pid", &pid)
        if pid < 0 { fields.refuse() }
        var ticks = Int64(bitPattern: startTime)
        fields.number("startTime", &ticks)
        startTime = UInt64(bitPattern: ticks)
        fields.flag("pidNamespace", &hasPidNamespace)
        fields.flag("sessionKeyring", &hasSessionKeyring)
        fields.flag("pausedBeforeStart", &isPausedBeforeStart, isWritten: isPausedBeforeStart)
        var mount = rootMount.map { String($0) } ?? ""
        fields.text("rootMount", &mount, isWritten: rootMount != nil)
        rootMount = UInt64(mount)
        fields.value("hooks", &hooks, { try? Hooks(encoded: $0) }, { $0.encoded })
        fields.list("resctrlGroups", &resctrlGroups, { $0.text }, { .string($0) })
        fields.list("ownResctrlGroups", &ownResctrlGroups, { $0.text }, { .string($0) })
        fields.list("pipes", &pipes, { $0.text }, { .string($0) })
        fields.required("cgroups", &cgroups, CgroupLayout.init(record:), \.record)
        var kills = String(outOfMemoryKillsBefore)
        fields.text(
            "outOfMemoryKillsBefore", &kills, isWritten: outOfMemoryKillsBefore > 0)
        outOfMemoryKillsBefore = UInt64(kills) ?? 0
        fields.number("startWaitIndex", &startWaitIndex, isOptional: true)
        fields.list(
            "lastInstructions", &lastInstructions, RecordedInstruction.init, \.json,
            isWritten: true)
        fields.list("stepStarts", &stepStarts, \.index, { .integer(Int64($0)) })
        fields.value("choices", &choices, { $0 }, { $0 })
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
    /// A member of a wrong type makes the whole record wrong: then others may not be what was written
    /// either.
    init?(_ value: JSONValue) {
        guard case .object(let object) = value else { return nil }
        var fields = RecordFields(of: object)
        self.init(
            id: "", ociVersion: "", bundle: "", rootfs: "", created: "", annotations: [:],
            cgroups: .empty)
        visit(&fields)
        guard fields.areWhole else { return nil }
    }
}

extension ContainerRecord {
    /// A record of a container of which nothing is known yet, for `salvage`.
    init(salvaged id: String) {
        self.init(
            id: id, ociVersion: "", bundle: "", rootfs: "", created: "", annotations: [:],
            cgroups: .empty)
        isComplete = true
    }

    /// Takes over what helps to end a container, from a record that is of a later version or lacks what
    /// other commands need.
    ///
    /// Init is known by its pid and start time together. A cgroup that cannot be read has no directories.
    mutating func salvage(_ value: JSONValue) {
        guard case .object(let object) = value else { return }
        var fields = RecordFields(of: object)
        var found = self
        found.visit(&fields)
        if found.pid > 0, found.startTime > 0 { (pid, startTime) = (found.pid, found.startTime) }
        cgroups = found.cgroups
        isComplete = found.isComplete
        hasPidNamespace = found.hasPidNamespace
        bundle = found.bundle
        rootfs = found.rootfs
        rootMount = found.rootMount
        hooks = found.hooks
        ownResctrlGroups = found.ownResctrlGroups
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
    /// The theme of its step; records of version 0.1 have none.
    var theme: StepTheme?
    /// The call's name; empty where the program stops by itself.
    var call: String
    /// The call's arguments, ready to print.
    var arguments: String
    /// What its failure means.
    var note: String

    var json: JSONValue {
        var object: JSONObject = [
            "index": .integer(Int64(index)), "field": .string(origin.description),
            "call": .string(call),
            "arguments": .string(arguments), "note": .string(note),
        ]
        if let theme { object.append("theme", .string(theme.rawValue)) }
        return .object(object)
    }

    init(
        index: Int, origin: Origin, theme: StepTheme?, call: String, arguments: String, note: String
    ) {
        self.index = index
        self.origin = origin
        self.theme = theme
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
            origin: field == Origin.runtime.description ? .runtime : .config(field),
            theme: Self.theme(object["theme"]), call: call, arguments: arguments, note: note)
    }

    private static func theme(_ value: JSONValue?) -> StepTheme? {
        guard case .string(let name)? = value else { return nil }
        return StepTheme(rawValue: name)
    }
}

extension RecordedInstruction {
    /// Whether it replaces init by the config's program.
    var isExecution: Bool { call == "execve" && origin == "process.args" }
}
