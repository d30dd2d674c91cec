// SPDX-License-Identifier: Apache-2.0

// IntelRdt: the groups of resctrl, which allocate cache and memory bandwidth.
//
//   ResctrlGroup             a group: makes, enters and removes it
//   ResctrlGroup+Statistics  its statistics
//   ResctrlChange            the changes of an update

#if os(Linux)
internal import InitProgram
internal import SystemPackage

/// The host's resctrl, as far as a plan depends on it.
///
/// Kernel: Documentation/filesystems/resctrl.rst.
struct ResctrlTree: Equatable, Sendable {
    /// The mount point.
    var root: String
    /// Whether the L3 cache can be allocated.
    var hasCacheAllocation: Bool
    /// Whether memory bandwidth can be allocated.
    var hasBandwidthAllocation: Bool
}

extension ResctrlTree {
    /// The first mounted tree; nil if there is none.
    static func discover() throws(SystemCallError) -> ResctrlTree? {
        let mount = try mountTable().first { $0.type == "resctrl" }
        return mount.map { ResctrlTree(at: $0.mountPoint) }
    }

    /// Reads the features of a mounted tree.
    init(at root: String) {
        func offers(_ name: String) -> Bool { (try? status(at: "\(root)/info/\(name)")) != nil }
        self.init(
            root: root,
            // If code and data are separate (CDP), the cache has two entries.
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

    /// Makes the groups, or finds the one that must exist, and writes the schemata.
    mutating func make() throws(ContainerError) {
        if plan.mustExist {
            try explaining(
                "the class of service must exist when no schemata are given",
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

    /// Uses a single write: the kernel applies the lines up to the first invalid one.
    func writeSchemata() throws(ContainerError) {
        try explaining("the schemata are refused", field: plan.schemataField) {
            (plan) throws(SystemCallError) in
            try writeControlFile(
                "\(plan.directory)/schemata", plan.schemata.joined(separator: "\n") + "\n")
        }
    }

    private mutating func makeDirectory(_ path: String, field: String) throws(ContainerError) {
        var isNew = true
        try explaining("unable to make the resctrl group", field: field) {
            (_) throws(SystemCallError) in
            do throws(SystemCallError) {
                try ContainerKit.makeDirectory(path, mode: 0o755)
            } catch  where error.errno == .fileExists {
                isNew = false
            }
        }
        if isNew { made.append(path) }
    }

    /// Moves a process, and the processes that it will start, into the groups.
    static func enter(_ directories: [String], _ pid: Int32) throws(ContainerError) {
        for directory in directories {
            try reporting("unable to enter the resctrl group", field: "linux.intelRdt") {
                () throws(SystemCallError) in
                try writeControlFile("\(directory)/tasks", String(pid))
            }
        }
    }

    /// Removes groups, the last one first; a missing one is no error.
    ///
    /// Kernel: rmdir(2) also removes the files and the monitoring groups of a group.
    static func remove(_ directories: [String]) throws(SystemCallError) {
        for directory in directories.reversed() {
            do {
                try removeDirectory(directory)
            } catch  where error.errno == .noSuchFileOrDirectory {
                // Another process has removed it, or the host was rebooted.
            }
        }
    }

    /// Adds the kernel's explanation to an error.
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
#endif
