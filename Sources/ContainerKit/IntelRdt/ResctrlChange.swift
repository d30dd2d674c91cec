// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec
internal import SystemPackage

/// The changes that an update makes to a container's resctrl groups on disk.
struct ResctrlChange {
    /// The `intelRdt` of the config after the update.
    let result: IntelRdt
    /// The groups, with the new lines.
    private let plan: ResctrlPlan
    /// Whether the container had no groups before.
    private let isNew: Bool
    private var group: ResctrlGroup
    private var formerSchemata: [UInt8]?

    /// Nil if the update has no schemata; the error texts are runc's.
    init?(_ update: IntelRdt?, of current: IntelRdt?, id: String, tree: ResctrlTree?)
        throws(ContainerError)
    {
        let cache = update?.l3CacheSchema ?? ""
        let bandwidth = update?.memBwSchema ?? ""
        guard !cache.isEmpty || !bandwidth.isEmpty else { return nil }
        guard let tree, cache.isEmpty || tree.hasCacheAllocation else {
            throw ContainerError(
                .unsupported,
                cache.isEmpty
                    ? "Intel RDT/MBA: memory bandwidth schema is not enabled"
                    : "Intel RDT/CAT: l3 cache schema is not enabled")
        }
        guard bandwidth.isEmpty || tree.hasBandwidthAllocation else {
            throw ContainerError(
                .unsupported, "Intel RDT/MBA: memory bandwidth schema is not enabled")
        }
        var result = current ?? IntelRdt()
        if !cache.isEmpty { result.l3CacheSchema = cache }
        if !bandwidth.isEmpty { result.memBwSchema = bandwidth }
        var written = result
        written.schemata = nil
        written.l3CacheSchema = cache
        written.memBwSchema = bandwidth
        do throws(SpecError) {
            guard let plan = try ResctrlPlan(written, id: id, tree: tree) else { return nil }
            self.plan = plan
        } catch {
            throw ContainerError(error)
        }
        self.result = result
        isNew = current == nil
        group = ResctrlGroup(plan)
    }

    /// Writes the lines; if the container has no groups, makes them and moves `processes` into
    /// them.
    mutating func apply(to processes: [Int32]) throws(ContainerError) {
        guard isNew else {
            formerSchemata = try? readFile("\(plan.directory)/schemata")
            try group.writeSchemata()
            return
        }
        try group.make()
        for process in processes {
            do throws(ContainerError) {
                try ResctrlGroup.enter(plan.entered, process)
            } catch  where error.failure?.errno == .noSuchProcess {
                // The process has ended meanwhile.
            }
        }
    }

    /// Restores the former lines, or removes the new groups.
    func undo() {
        if let formerSchemata {
            let text = String(decoding: formerSchemata, as: UTF8.self)
            try? writeControlFile("\(plan.directory)/schemata", text)
        }
        // The kernel moves the processes of a removed group to the group above.
        try? ResctrlGroup.remove(group.made)
    }

    /// Adds new groups to the container's record.
    func remember(in record: inout ContainerRecord) {
        guard isNew else { return }
        record.resctrlGroups = plan.entered
        record.ownResctrlGroups = plan.removed
    }
}
#endif
