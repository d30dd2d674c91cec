// SPDX-License-Identifier: Apache-2.0

internal import RuntimeSpec

/// `linux.resources.hugepageLimits`: pages in use, and pages reserved where the kernel counts these.
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

    /// Whether the text is a number and KB, MB or GB: it becomes part of a file's name.
    private static func isPageSize(_ text: String) -> Bool {
        let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        let unit = text.dropFirst(digits.count)
        return !digits.isEmpty && (unit == "KB" || unit == "MB" || unit == "GB")
    }
}
