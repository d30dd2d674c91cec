// SPDX-License-Identifier: Apache-2.0

// IntelRdt: the groups of resctrl, by which caches and memory bandwidth are shared out.
//
//   ResctrlGroup             a group: made, joined, removed
//   ResctrlGroup+Statistics  what it counts
//   ResctrlChange            what update asks for

internal import InitProgram
internal import SystemPackage

/// The host's tree of resctrl, as far as a plan depends on it.
///
/// Kernel: Documentation/filesystems/resctrl.rst.
struct ResctrlTree: Equatable, Sendable {
    /// Where it is mounted.
    var root: String
    /// Whether the L3 cache is allocated.
    var hasCacheAllocation: Bool
    /// Whether memory bandwidth is allocated.
    var hasBandwidthAllocation: Bool
}

extension ResctrlTree {
    /// The tree that is mounted first; nil if none is.
    static func discover() throws(SystemCallError) -> ResctrlTree? {
        let mount = try mountTable().first { $0.type == "resctrl" }
        return mount.map { ResctrlTree(at: $0.mountPoint) }
    }

    /// Looks at what a mounted tree offers.
    init(at root: String) {
        func offers(_ name: String) -> Bool { (try? status(at: "\(root)/info/\(name)")) != nil }
        self.init(
            root: root,
            // With code and data apart (cdp) there are two of it.
            hasCacheAllocation: offers("L3") || offers("L3CODE"),
            hasBandwidthAllocation: offers("MB"))
    }
}

/// The groups of resctrl of one container, on disk.
struct ResctrlGroup {
    let plan: ResctrlPlan
    /// The directories that this launch made, in order.
    private(set) var made: [String] = []

    init(_ plan: ResctrlPlan) {
        self.plan = plan
    }

    /// Makes the groups, or finds the one that must be there, and writes the schemata.
    mutating func make() throws(ContainerError) {
        if plan.mustExist {
            try explaining(
                "the class of service must be there when no schemata are given",
                field: "linux.intelRdt.closID"
            ) { (plan) throws(SystemCallError) in _ = try status(at: plan.directory) }
        } else {
            try makeDirectory(plan.directory, field: "linux.intelRdt.closID")
        }
        if !plan.schemata.isEmpty { try writeSchemata() }
        if let directory = plan.monitoringDirectory {
            try makeDirectory(directory, field: "linux.intelRdt.enableMonitoring")
        }
    }

    /// One write: the kernel takes all lines or stops at the first that is wrong.
    func writeSchemata() throws(ContainerError) {
        try explaining("the schemata are refused", field: plan.schemataField) {
            (plan) throws(SystemCallError) in
            try writeControlFile(
                "\(plan.directory)/schemata", plan.schemata.joined(separator: "\n") + "\n")
        }
    }

    private mutating func makeDirectory(_ path: String, field: String) throws(ContainerError) {
        var isNew = true
        try explaining("unable to make the group", field: field) { (_) throws(SystemCallError) in
            do throws(SystemCallError) {
                try ContainerKit.makeDirectory(path, mode: 0o755)
            } catch  where error.errno == .fileExists {
                isNew = false
            }
        }
        if isNew { made.append(path) }
    }

    /// Moves a process, and what it will start, into the groups.
    static func enter(_ directories: [String], _ pid: Int32) throws(ContainerError) {
        for directory in directories {
            try reporting("unable to enter the group", field: "linux.intelRdt") {
                () throws(SystemCallError) in
                try writeControlFile("\(directory)/tasks", String(pid))
            }
        }
    }

    /// Removes groups, the last first; one that is gone is no error.
    ///
    /// Kernel: rmdir(2) takes the files and the monitoring groups of a group along.
    static func remove(_ directories: [String]) throws(SystemCallError) {
        for directory in directories.reversed() {
            do {
                try removeDirectory(directory)
            } catch  where error.errno == .noSuchFileOrDirectory {
                // Somebody was faster, or the host was started anew.
            }
        }
    }

    /// A refusal, with what the kernel says of it.
    private func explaining(
        _ message: String, field: String,
        _ body: (ResctrlPlan) throws(SystemCallError) -> Void
    ) throws(ContainerError) {
        do {
            try body(plan)
        } catch {
            let status = try? readFile("\(plan.root)/info/last_cmd_status", limitBytes: 4096)
            let words = String(decoding: status ?? [], as: UTF8.self)
                .split(separator: "\n").joined(separator: "; ")
            throw ContainerError(
                error, words.isEmpty || words == "ok" ? message : "\(message) (\(words))",
                field: field)
        }
    }
}
