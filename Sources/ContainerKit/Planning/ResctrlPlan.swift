// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

extension ResctrlPlan {
    /// The groups of a container with this config; nil without a config.
    ///
    /// Spec: config-linux.md, IntelRdt.
    init?(_ config: IntelRdt?, id: String, tree: ResctrlTree?) throws(SpecError) {
        guard let config else { return nil }
        guard let tree else {
            throw SpecError("linux.intelRdt", "Intel RDT resctrl mount point not found")
        }
        let cache = config.l3CacheSchema ?? ""
        let bandwidth = config.memBwSchema ?? ""
        if !cache.isEmpty, !tree.hasCacheAllocation {
            throw SpecError(
                "linux.intelRdt.l3CacheSchema",
                "is specified in config, but Intel RDT/CAT is not enabled")
        }
        if !bandwidth.isEmpty, !tree.hasBandwidthAllocation {
            throw SpecError(
                "linux.intelRdt.memBwSchema",
                "is specified in config, but Intel RDT/MBA is not enabled")
        }
        var lines = cache.split(separator: "\n").map(String.init)
        if !bandwidth.isEmpty {
            lines.removeAll { $0.begins(with: "MB:") }
            lines.append(bandwidth)
        }
        lines += config.schemata ?? []

        let name = config.closID ?? ""
        let isNamed = !name.isEmpty
        // "/" is the default class.
        let directory = name == "/" ? tree.root : "\(tree.root)/\(isNamed ? name : id)"
        self.init(
            root: tree.root, directory: directory,
            mustExist: name == "/" || (isNamed && lines.isEmpty), schemata: lines,
            schemataField: cache.isEmpty && bandwidth.isEmpty
                ? "linux.intelRdt.schemata" : "linux.intelRdt",
            monitoringDirectory: config.enableMonitoring
                ? "\(directory)/mon_groups/\(id)" : nil,
            // A class with a name is not the container's alone.
            removesDirectory: !isNamed)
    }

    /// The directories to whose `tasks` files the processes are written.
    var entered: [String] { [directory] + (monitoringDirectory.map { [$0] } ?? []) }

    /// The directories that are removed with the container, in the order in which they were made.
    var removed: [String] {
        removesDirectory ? [directory] : (monitoringDirectory.map { [$0] } ?? [])
    }
}
#endif
