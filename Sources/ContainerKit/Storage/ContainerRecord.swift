// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec
internal import SystemPackage

/// The record of a container in its state directory: one versioned JSON object.
///
/// Fields are only added; later versions can read the records of all earlier ones.
struct ContainerRecord: Equatable, Sendable {
    /// To be raised when a field changes its meaning.
    static let version: Int64 = 1

    /// The container's ID.
    var id: String
    /// `ociVersion` of the config.
    var ociVersion: String
    /// The absolute path of the bundle.
    var bundle: String
    /// The absolute path of the rootfs.
    var rootfs: String
    /// The time of creation, in RFC 3339.
    var created: String
    /// Annotations of the config.
    var annotations: [String: String]
    /// Whether the launch is complete, so that init waits for start or runs; without it the launch
    /// is in progress or has failed.
    var isComplete = false
    /// Init's pid; 0 until it exists.
    var pid: Int32 = 0
    /// Init's start time in clock ticks since boot, which detects a reused pid.
    var startTime: UInt64 = 0
    /// Whether init has its own pid namespace, which ends with it.
    var hasPidNamespace = false
    /// Whether the container has its own session keyring.
    var hasSessionKeyring = true
    /// The identity of the root's mount, if it is in the host's mount table.
    var rootMount: UInt64?
    /// The hooks for start and delete; nil if there are none.
    var hooks: Hooks?
    /// The resctrl groups of its processes.
    var resctrlGroups: [String] = []
    /// The resctrl groups that are removed with the container.
    var ownResctrlGroups: [String] = []
    /// The directories of its cgroups.
    var cgroups: CgroupLayout
    /// Whether its cgroup was found to be nobody else's, before a process that is not init entered
    /// it; init's progress page tells the same.
    var ownsCgroup = false
    /// The number of OOM kills in its cgroup before it was created.
    var outOfMemoryKillsBefore: UInt64 = 0
    /// CRIU's names of its original three standard streams; none if it has a terminal.
    var externalStreams: [String] = []
    /// Whether its processes come from a checkpoint, not from a plan.
    var isRestored = false
    /// Whether it was paused before it was started.
    ///
    /// Only in that case must `start` and `state` check whether a created container is frozen.
    var isPausedBeforeStart = false
    /// The instruction at which init waits for start.
    var startWaitIndex = 0
    /// The instructions from there on, to describe one that fails.
    var lastInstructions: [RecordedInstruction] = []

    /// The index of the first instruction of each of init's steps; empty if init was restored.
    var stepStarts: [Int] = []
    /// Whether init notes when its steps begin.
    var isTimed = false
    /// The steps after the wait for start that do so.
    var timedSteps: [TimedStep] = []
    /// The caller's choices that the plan depends on, to make the plan again.
    var choices: JSONValue?
    /// The mounts that were added since the container was created, in order.
    var addedMounts: [AddedMount] = []
    /// The devices that were added since the container was created, in order.
    var addedDevices: [RecordedDevice] = []

    /// The first of the members that a running container's state does not need.
    private static let firstBehindState = "cgroups"
    /// The first of the members that neither a container's state nor its end needs, but for the
    /// status of a child of the caller.
    ///
    /// They are long, and come last.
    static let firstOfRest = "lastInstructions"

    /// Whether it is, or is to become, a restored container; complete records of earlier versions
    /// show it by what they lack.
    var followsNoPlan: Bool { isRestored || isComplete && lastInstructions.isEmpty }

    /// Whether its config has a process.
    var hasProgram: Bool {
        lastInstructions.contains(where: \.isExecution)
    }

    /// Opens its cgroup; an adopted one is compared, since its owner may have replaced it.
    func openCgroup() throws(ContainerError) -> Cgroup {
        try reporting { () throws(CgroupError) in try Cgroup.open(cgroups) }
    }

    var json: JSONValue {
        var copy = self
        var fields = RecordFields()
        copy.visit(&fields)
        return fields.written
    }

    /// Passes every member to `fields`, which reads or writes it.
    private mutating func visit(_ fields: inout RecordFields) {
        var freezer = cgroups.ofFreezer
        visitState(&fields, &freezer)
        visitRest(&fields)
    }

    /// Passes the members that a running container's state needs, and a few others.
    private mutating func visitState(_ fields: inout RecordFields, _ freezer: inout CgroupLayout?) {
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
        fields.flag("restored", &isRestored, isWritten: isRestored)
        fields.flag("pausedBeforeStart", &isPausedBeforeStart, isWritten: isPausedBeforeStart)
        var mount = rootMount.map { String($0) } ?? ""
        fields.text("rootMount", &mount, isWritten: rootMount != nil)
        rootMount = UInt64(mount)
        fields.value("hooks", &hooks, { try? Hooks(encoded: $0) }, { $0.encoded })
        fields.list("resctrlGroups", &resctrlGroups, { $0.text }, { .string($0) })
        fields.list("ownResctrlGroups", &ownResctrlGroups, { $0.text }, { .string($0) })
        fields.list("externalStreams", &externalStreams, { $0.text }, { .string($0) })
        fields.value("freezer", &freezer, CgroupLayout.init(record:), \.record)
    }

    private mutating func visitRest(_ fields: inout RecordFields) {
        fields.required(Self.firstBehindState, &cgroups, CgroupLayout.init(record:), \.record)
        fields.flag("ownsCgroup", &ownsCgroup, isWritten: ownsCgroup)
        var kills = "\(outOfMemoryKillsBefore)"
        fields.text(
            "outOfMemoryKillsBefore", &kills, isWritten: outOfMemoryKillsBefore > 0)
        // Nearly always zero: the standard library's parser would load 64 KiB more of its code.
        outOfMemoryKillsBefore = kills.isSame("0") ? 0 : UInt64(kills) ?? 0
        fields.number("startWaitIndex", &startWaitIndex, isOptional: true)
        fields.list(
            Self.firstOfRest, &lastInstructions, RecordedInstruction.init, \.json,
            isWritten: true)
        fields.list("stepStarts", &stepStarts, \.index, { .integer(Int64($0)) })
        fields.flag("timed", &isTimed, isWritten: isTimed)
        fields.list("timedSteps", &timedSteps, TimedStep.init(record:), \.record)
        fields.value("choices", &choices, { $0 }, { $0 })
        fields.list("addedMounts", &addedMounts, AddedMount.init, \.json)
        fields.list("addedDevices", &addedDevices, RecordedDevice.init, \.json)
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

    /// Decodes only what the state of a running container needs, of a record's text; nil if that may
    /// need more.
    ///
    /// Of the cgroups it has the one with the freezer. On cgroup v1 the others take most of the time
    /// to decode a record, which a list of many containers would spend for each.
    init?(stateOf bytes: [UInt8]) {
        guard case .object(let object)? = try? JSONValue(json: bytes, upTo: Self.firstBehindState)
        else { return nil }
        var fields = RecordFields(of: object)
        self.init(
            id: "", ociVersion: "", bundle: "", rootfs: "", created: "", annotations: [:],
            cgroups: .empty)
        var freezer: CgroupLayout?
        visitState(&fields, &freezer)
        guard fields.areWhole, isComplete, let freezer else { return nil }
        cgroups = freezer
    }

    /// Decodes a record; nil if it is none, or of a later version.
    ///
    /// A member of a wrong type makes the whole record invalid, since other members may be damaged
    /// as well.
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
    /// A record without any information, for `salvage`.
    init(salvaged id: String) {
        self.init(
            id: id, ociVersion: "", bundle: "", rootfs: "", created: "", annotations: [:],
            cgroups: .empty)
        isComplete = true
    }

    /// Takes over the members that help to end a container, from a record of a later version or an
    /// incomplete one.
    ///
    /// Init is taken only with both pid and start time. A cgroup that cannot be decoded has no
    /// directories.
    mutating func salvage(_ value: JSONValue) {
        guard case .object(let object) = value else { return }
        var fields = RecordFields(of: object)
        var found = self
        found.visit(&fields)
        if found.pid > 0, found.startTime > 0 { (pid, startTime) = (found.pid, found.startTime) }
        cgroups = found.cgroups
        isComplete = found.isComplete
        ownsCgroup = found.ownsCgroup
        isRestored = found.isRestored
        hasPidNamespace = found.hasPidNamespace
        bundle = found.bundle
        rootfs = found.rootfs
        rootMount = found.rootMount
        hooks = found.hooks
        ownResctrlGroups = found.ownResctrlGroups
    }

    /// Unmounts the root of a container without its own mount namespace from the host's mount
    /// namespace.
    func detachRootMount() throws(SystemCallError) {
        guard let rootMount else { return }
        do {
            try detachMount(rootMount, at: rootfs)
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            // The directory is gone, so the mount must have been removed before.
        }
    }
}

extension TimedStep {
    fileprivate var record: JSONValue {
        var object: JSONObject = [
            "mark": .integer(Int64(mark)), "name": .string(name), "step": .string(sentence),
        ]
        if let field { object.append("field", .string(field)) }
        return .object(object)
    }

    fileprivate init?(record value: JSONValue) {
        guard case .object(let object) = value, case .integer(let mark)? = object["mark"],
            let number = Int(exactly: mark), case .string(let name)? = object["name"],
            case .string(let sentence)? = object["step"]
        else { return nil }
        self.init(mark: number, name: name, sentence: sentence, field: object["field"]?.text)
    }
}

/// An instruction in the form in which an error describes it.
struct RecordedInstruction: Equatable, Sendable {
    /// The instruction's index in the program.
    var index: Int
    /// The origin of its step.
    var origin: Origin
    /// The theme of its step; records of version 0.1 have none.
    var theme: StepTheme?
    /// The call's name; empty if the program stops by itself.
    var call: String
    /// The call's arguments as text.
    var arguments: String
    /// The meaning of its failure.
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
    /// Whether it executes the config's program.
    var isExecution: Bool { call == "execve" && origin == "process.args" }
}
#endif
