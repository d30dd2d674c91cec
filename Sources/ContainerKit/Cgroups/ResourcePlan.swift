// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// One text to write to one control file.
struct ControlWrite: Equatable, Sendable {
    /// The errors that are tolerated.
    struct Tolerance: OptionSet, Sendable {
        let rawValue: UInt8
        /// EINVAL: repeated after the later writes, one of which may make the value valid.
        static let waitsForOthers = Tolerance(rawValue: 1)
        /// ENOENT: the kernel lacks the file, and does what is asked for anyway.
        static let mayBeMissing = Tolerance(rawValue: 2)
    }

    /// The index of the directory in the layout.
    var directory: Int
    /// The name of the control file.
    var file: String
    /// The text for a single write(2).
    var text: String
    /// The field of config.json that requires it.
    var field: JSONPath
    /// The errors that are tolerated.
    var tolerance: Tolerance = []
}

/// One step of applying resources.
enum ControlStep: Equatable, Sendable {
    case write(ControlWrite)
    /// The first of these whose file exists.
    case writeFirst([ControlWrite])
    /// Fails if the value in `file` is at or above `limit`: a limit below the present usage would
    /// make the kernel kill the container. `noun` names the limit in the message.
    case requireUsage(below: Int64, file: String, directory: Int, noun: String, field: JSONPath)
}

/// `linux.resources` as ordered steps on the directories of a layout.
struct ResourcePlan: Equatable, Sendable {
    /// The writes and checks, in order.
    var steps: [ControlStep] = []
    /// The access to devices; nil if it does not change.
    var devices: DeviceAccess?
    /// Requests that cannot have an effect any more, one sentence each.
    var warnings: [String] = []
    /// The properties for systemd, for a cgroup that it manages.
    var properties: [UnitProperty] = []

    /// Plans the limits of `resources` on the hierarchies of `layout`.
    ///
    /// Invalid values and limits without a controller are errors; fields that are not set are left
    /// alone.
    init(_ resources: Resources, on layout: CgroupLayout) throws(SpecError) {
        var resources = resources
        if layout.scope != nil { UnitProperties.roundQuota(&resources.cpu) }
        var writes = ControlWrites(layout: layout)
        if let cpu = resources.cpu {
            try CPUSetController.plan(cpu, into: &writes)
        }
        if let rules = resources.devices {
            devices = try DeviceAccess(rules: rules)
            if !rules.isEmpty { try DeviceController.check(layout) }
        }
        if let memory = resources.memory {
            try MemoryController.plan(memory, into: &writes)
        }
        if let cpu = resources.cpu {
            try CPUController.plan(cpu, into: &writes)
        }
        if let pids = resources.pids {
            try PidsController.plan(pids, into: &writes)
        }
        if let blockIO = resources.blockIO {
            try BlockIOController.plan(blockIO, into: &writes)
        }
        if let limits = resources.hugepageLimits {
            try HugepageController.plan(limits, into: &writes)
        }
        if let network = resources.network {
            try NetworkController.plan(network, into: &writes)
        }
        if let limits = resources.rdma {
            try RdmaController.plan(limits, into: &writes)
        }
        if let unified = resources.unified {
            try UnifiedFiles.plan(unified, into: &writes)
        }
        steps = writes.steps
        warnings = writes.warnings
        if let scope = layout.scope {
            properties = try UnitProperties.planned(
                for: resources, version: scope.version, isUnified: layout.isUnified)
        }
    }
}

/// Builds the list of writes.
struct ControlWrites {
    let layout: CgroupLayout
    var steps: [ControlStep] = []
    var warnings: [String] = []

    /// Whether the writes go to cgroup v2.
    var isUnified: Bool { layout.isUnified }

    /// The index of the directory of `controller`, which `field` requires.
    func directory(of controller: String, for field: String) throws(SpecError) -> Int {
        guard let index = layout.index(of: controller) else {
            throw error(field, layout.lack(of: controller))
        }
        return index
    }

    /// Adds a write to a file of `controller`; `field` is relative to `linux.resources`.
    mutating func write(
        _ controller: String, _ file: String, _ text: String, from field: String,
        _ tolerance: ControlWrite.Tolerance = []
    ) throws(SpecError) {
        steps.append(.write(try planned(controller, file, text, from: field, tolerance)))
    }

    /// Adds a write to the first file of `choices` (file and text) that exists.
    mutating func writeFirst(
        _ controller: String, _ choices: [(file: String, text: String)], from field: String
    ) throws(SpecError) {
        var writes: [ControlWrite] = []
        for choice in choices {
            writes.append(try planned(controller, choice.file, choice.text, from: field, []))
        }
        steps.append(.writeFirst(writes))
    }

    private func planned(
        _ controller: String, _ file: String, _ text: String, from field: String,
        _ tolerance: ControlWrite.Tolerance
    ) throws(SpecError) -> ControlWrite {
        ControlWrite(
            directory: try directory(of: controller, for: field), file: file, text: text,
            field: path(field), tolerance: tolerance)
    }

    /// Warns that a weight is ignored; the first words are runc's.
    mutating func warnIdle(over weight: String, _ idle: String) {
        warnings.append(
            "unable to apply both \(path(weight)) and \(path(idle)): an idle cgroup has no weight; "
                + "the weight is ignored")
    }

    /// An error for a field of `linux.resources`.
    func error(_ field: String, _ message: String, section: String? = nil) -> SpecError {
        SpecError(path(field), message, section: section)
    }

    /// The JSON path of a field that is given relative to `linux.resources`.
    func path(_ field: String) -> JSONPath { "linux.resources.\(field)" }
}

/// A limit in the syntax of v2: -1 is `max`.
func unifiedLimit(_ value: Int64) -> String { value == -1 ? "max" : "\(value)" }
#endif
