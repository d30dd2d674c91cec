// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// `linux.resources.cpu.cpus` and `.mems`: lists such as `0-3,8`.
///
/// The files are the same on v1 and v2. On v1 the files of a new cgroup are empty, and it takes no
/// process; `Cgroup` copies the parent's values into each directory that it makes, before these
/// writes. Spec: config-linux.md, CPU. Kernel: admin-guide/cgroup-v1/cpusets.rst, cgroup-v2.rst,
/// Cpuset.
enum CPUSetController {
    static let files = ["cpuset.cpus", "cpuset.mems"]

    static func plan(_ cpu: CPUResources, into writes: inout ControlWrites) throws(SpecError) {
        let lists = [("cpu.cpus", "cpuset.cpus", cpu.cpus), ("cpu.mems", "cpuset.mems", cpu.mems)]
        for case (let field, let file, let list?) in lists where !list.isEmpty {
            guard isList(list) else {
                throw writes.error(
                    field, "\"\(list)\" is not a list of numbers and ranges, such as \"0-3,8\"",
                    section: "config-linux.md, CPU")
            }
            try writes.write("cpuset", file, list, from: field)
        }
    }

    /// Whether the text has only characters of the kernel's list format; the kernel checks the
    /// numbers.
    private static func isList(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: ","),
                UInt8(ascii: ":"), UInt8(ascii: "/"), UInt8(ascii: " "):
                true
            default: false
            }
        }
    }
}

extension CPUSetController {
    /// Reads the lists, and on v1 the flags.
    static func read(_ files: ControlFiles, into statistics: inout Statistics)
        throws(CgroupError)
    {
        var set = Statistics.CPUSet()
        set.cpus = numbers(in: try files.text("cpuset", "cpuset.cpus") ?? [])
        set.mems = numbers(in: try files.text("cpuset", "cpuset.mems") ?? [])
        guard !files.isUnified else {
            statistics.cpuSet = set
            return
        }
        func value(_ name: String) throws(CgroupError) -> UInt64 {
            try files.number("cpuset", "cpuset.\(name)") ?? 0
        }
        set.cpuExclusive = try value("cpu_exclusive")
        set.memHardwall = try value("mem_hardwall")
        set.memExclusive = try value("mem_exclusive")
        set.memoryMigrate = try value("memory_migrate")
        set.memorySpreadPage = try value("memory_spread_page")
        set.memorySpreadSlab = try value("memory_spread_slab")
        set.memoryPressure = try value("memory_pressure")
        set.schedLoadBalance = try value("sched_load_balance")
        // The only one of these that may be negative.
        set.schedRelaxDomainLevel =
            try files.lines("cpuset", "cpuset.sched_relax_domain_level").first?.first
            .flatMap { Int64($0) } ?? 0
        statistics.cpuSet = set
    }

    /// The numbers of a list such as `0-3,8`.
    static func numbers(in list: [UInt8]) -> [UInt16] {
        var numbers: [UInt16] = []
        for word in words(of: list) {
            for part in word.split(separator: ",") {
                let ends = part.split(separator: "-").compactMap { UInt16($0) }
                guard let first = ends.first, let last = ends.last, first <= last else { continue }
                numbers += first...last
            }
        }
        return numbers
    }
}
#endif
