// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

extension Statistics.IntelRdt {
    /// Reads the statistics of a container's groups: its class and its monitoring group, if it has
    /// one.
    ///
    /// Missing files are skipped: processors differ in their controls and counters, and a group may
    /// be removed meanwhile.
    init(of groups: [String], in tree: ResctrlTree) {
        let files = ResctrlFiles(directory: tree.root)
        let lines = groups.first.map { ResctrlFiles(directory: $0).lines("schemata") } ?? []
        let rootLines = files.lines("schemata")
        schemata = lines
        if tree.hasCacheAllocation {
            cache = files.cache
            rootCacheSchema = rootLines.schema(of: Self.cacheNames)
            cacheSchema = lines.schema(of: Self.cacheNames)
        }
        if tree.hasBandwidthAllocation {
            bandwidth = files.bandwidth
            rootBandwidthSchema = rootLines.schema(of: ["MB"])
            bandwidthSchema = lines.schema(of: ["MB"])
        }
        // The last group is the container's own monitoring group, if it has one.
        if let counted = groups.last {
            let features = Set(files.lines("info/L3_MON/mon_features"))
            count(features, ResctrlFiles(directory: "\(counted)/mon_data"))
        }
    }

    /// If code and data are separate (CDP), the cache has two lines.
    private static let cacheNames = ["L3", "L3CODE", "L3DATA"]

    /// Reads the counters of every L3 cache; other monitors of newer kernels have other names.
    private mutating func count(_ features: Set<String>, _ files: ResctrlFiles) {
        let caches = files.directories.filter { $0.begins(with: "mon_L3_") }.sorted()
        let hasTotal = features.contains("mbm_total_bytes")
        let hasLocal = features.contains("mbm_local_bytes")
        if hasTotal || hasLocal {
            transfers = caches.map {
                Transfer(
                    total: hasTotal ? files.number("\($0)/mbm_total_bytes") : 0,
                    local: hasLocal ? files.number("\($0)/mbm_local_bytes") : 0)
            }
        }
        if features.contains("llc_occupancy") {
            occupancies = caches.map { files.number("\($0)/llc_occupancy") }
        }
    }
}

/// Reads the files below one directory of resctrl.
private struct ResctrlFiles {
    let directory: String

    /// The lines of a file, without the spaces by which the kernel aligns them.
    func lines(_ file: String) -> [String] {
        let text = (try? readFile("\(directory)/\(file)", limitBytes: 1 << 20)) ?? []
        return text.split(separator: UInt8(ascii: "\n"))
            .map { words(of: Array($0)).joined(separator: " ") }
    }

    /// The number in a file; 0 if it is unavailable.
    func number(_ file: String) -> UInt64 { lines(file).first.flatMap { UInt64($0) } ?? 0 }

    var directories: [String] {
        guard let opened = try? openFile(directory, .readOnly | .directory) else { return [] }
        return (try? directoryNames(in: opened.number, named: directory)) ?? []
    }

    var cache: Statistics.IntelRdt.Cache {
        let name = (try? status(at: "\(directory)/info/L3")) != nil ? "L3" : "L3CODE"
        return Statistics.IntelRdt.Cache(
            mask: lines("info/\(name)/cbm_mask").first ?? "",
            leastBits: number("info/\(name)/min_cbm_bits"),
            classes: number("info/\(name)/num_closids"))
    }

    var bandwidth: Statistics.IntelRdt.Bandwidth {
        Statistics.IntelRdt.Bandwidth(
            granularity: number("info/MB/bandwidth_gran"),
            isLinear: number("info/MB/delay_linear"),
            least: number("info/MB/min_bandwidth"), classes: number("info/MB/num_closids"))
    }
}

extension [String] {
    /// The lines of the named resources, joined to one text.
    fileprivate func schema(of names: [String]) -> String? {
        let found = filter { line in names.contains { line.begins(with: "\($0):") } }
        return found.isEmpty ? nil : found.joined(separator: "\n")
    }
}
#endif
