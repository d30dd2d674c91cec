// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// `linux.resources.hugepageLimits`: limits pages in use and, if the kernel counts them, reserved
/// pages.
///
/// Spec: config-linux.md, Huge page limits. Kernel: admin-guide/cgroup-v1/hugetlb.rst, cgroup-v2.rst,
/// HugeTLB.
enum HugepageController {
    static func plan(_ limits: [HugepageLimit], into writes: inout ControlWrites)
        throws(SpecError)
    {
        for (index, limit) in limits.enumerated() {
            let field = "hugepageLimits[\(index)]"
            guard isPageSize(limit.pageSize) else {
                throw writes.error(
                    "\(field).pageSize", "\"\(limit.pageSize)\" is not a page size such as \"2MB\"",
                    section: "config-linux.md, Huge page limits")
            }
            let file = writes.isUnified ? "max" : "limit_in_bytes"
            let name = "hugetlb.\(limit.pageSize)"
            try writes.write(
                "hugetlb", "\(name).\(file)", "\(limit.limit)", from: "\(field).limit")
            try writes.write(
                "hugetlb", "\(name).rsvd.\(file)", "\(limit.limit)", from: "\(field).limit",
                .mayBeMissing)
        }
    }

    /// Whether the text is a number and KB, MB or GB; it becomes part of a file name.
    private static func isPageSize(_ text: String) -> Bool {
        let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        let unit = text.dropFirst(digits.count)
        return !digits.isEmpty && (unit == "KB" || unit == "MB" || unit == "GB")
    }
}

extension HugepageController {
    /// Reads the reserved pages, or the pages in use if the kernel does not count reservations.
    static func read(_ files: ControlFiles, into statistics: inout Statistics)
        throws(CgroupError)
    {
        guard files.layout.index(of: "hugetlb") != nil else { return }
        for size in pageSizes() {
            var pages = Statistics.HugePages(pageSize: size)
            func number(_ file: String) throws(CgroupError) -> UInt64? {
                try files.number("hugetlb", "hugetlb.\(size).\(file)")
            }
            if files.isUnified {
                let used = try number("current") ?? 0
                pages.usage = try number("rsvd.current") ?? used
                pages.failures = try files.numbers("hugetlb", "hugetlb.\(size).events")["max"]
            } else {
                let reserved = try number("rsvd.usage_in_bytes")
                let family = reserved == nil ? "" : "rsvd."
                let used = try number("usage_in_bytes") ?? 0
                pages.usage = reserved ?? used
                pages.max = try number("\(family)max_usage_in_bytes") ?? 0
                pages.failures = try number("\(family)failcnt") ?? 0
            }
            statistics.hugePages.append(pages)
        }
    }

    /// The host's page sizes as in cgroup file names, from names such as `hugepages-2048kB`.
    private static func pageSizes() -> [String] {
        let names = (try? directoryEntries("/sys/kernel/mm/hugepages")) ?? []
        return names.compactMap { name in
            guard name.begins(with: "hugepages-"), name.ends(with: "kB"),
                let kilobytes = UInt64(name.dropFirst("hugepages-".count).dropLast(2))
            else { return nil }
            return pageSize(ofKilobytes: kilobytes)
        }.sorted()
    }

    /// The kernel's name of a page size: 2048 is `2MB`.
    static func pageSize(ofKilobytes count: UInt64) -> String {
        if count >= 1 << 20 { return "\(count >> 20)GB" }
        return count >= 1 << 10 ? "\(count >> 10)MB" : "\(count)KB"
    }
}
#endif
