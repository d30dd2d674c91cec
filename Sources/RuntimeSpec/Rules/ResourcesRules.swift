// SPDX-License-Identifier: Apache-2.0

/// The rules for limits, of a container or of update.
let resourcesRules: [Rule<Resources>] = [
    checkDeviceRules, checkHugepageLimits, checkRdmaLimits, checkUnifiedFiles,
]

/// What is allowed for limits, but likely not meant.
let resourcesWarnings: [Rule<Resources>] = [
    warnOfDeviceLetters
]

/// Each device rule concerns at least one of reading, writing and making nodes.
///
/// Other letters are ignored, as with runc. A rule with nothing but such letters would do nothing,
/// and one that was meant to deny must not. Spec: config-linux.md, Allowed Device list.
func checkDeviceRules(_ resources: Resources, _ found: inout [SpecError]) {
    let section = "config-linux.md, Allowed Device list"
    for (index, rule) in (resources.devices ?? []).enumerated() {
        let path: JSONPath = "linux.resources.devices[\(index)]"
        if let access = rule.access, !access.isEmpty, !access.utf8.contains(where: isDeviceLetter) {
            let message = "\(quoted(access)) is not made of r, w and m"
            found.append(SpecError(path.appending(key: "access"), message, section: section))
        }
        func check(_ key: String, _ number: Int64?) {
            guard let number, !(-1...Int64(UInt32.max)).contains(number) else { return }
            let message = "\(number) is out of range (-1...4294967295)"
            found.append(SpecError(path.appending(key: key), message, section: section))
        }
        check("major", rule.major)
        check("minor", rule.minor)
    }
}

private func isDeviceLetter(_ letter: UInt8) -> Bool {
    letter == UInt8(ascii: "r") || letter == UInt8(ascii: "w") || letter == UInt8(ascii: "m")
}

/// Warns of letters in a device rule that mean nothing.
///
/// Spec: config-linux.md, Allowed Device list.
func warnOfDeviceLetters(_ resources: Resources, _ found: inout [SpecError]) {
    for (index, rule) in (resources.devices ?? []).enumerated() {
        guard let access = rule.access, !access.utf8.allSatisfy(isDeviceLetter) else { continue }
        found.append(
            SpecError(
                "linux.resources.devices[\(index)].access",
                "\(quoted(access)) has other letters than r, w and m, which are left out",
                section: "config-linux.md, Allowed Device list"))
    }
}

/// A page size is a number and a unit.
///
/// Spec: config-linux.md, Huge page limits.
func checkHugepageLimits(_ resources: Resources, _ found: inout [SpecError]) {
    for (index, limit) in (resources.hugepageLimits ?? []).enumerated() {
        let hasUnit = ["KB", "MB", "GB"].contains { limit.pageSize.hasSuffix($0) }
        let digits = limit.pageSize.utf8.dropLast(2)
        let isNumber =
            !digits.isEmpty && digits.first != UInt8(ascii: "0")
            && digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard !hasUnit || !isNumber else { continue }
        found.append(
            SpecError(
                "linux.resources.hugepageLimits[\(index)].pageSize",
                "\(quoted(limit.pageSize)) is not a page size such as 64KB, 2MB or 1GB",
                section: "config-linux.md, Huge page limits"))
    }
}

/// An RDMA limit sets at least one of its two values.
///
/// Spec: config-linux.md, RDMA.
func checkRdmaLimits(_ resources: Resources, _ found: inout [SpecError]) {
    for (device, limit) in (resources.rdma ?? [:]).sorted(by: { $0.key < $1.key })
    where limit.hcaHandles == nil && limit.hcaObjects == nil {
        found.append(
            SpecError(
                JSONPath("linux.resources.rdma").appending(key: device),
                "needs hcaHandles or hcaObjects", section: "config-linux.md, RDMA"))
    }
}

/// The files of cgroup v2 are plain names in the cgroup's own directory.
///
/// Spec: config-linux.md, Unified.
func checkUnifiedFiles(_ resources: Resources, _ found: inout [SpecError]) {
    for name in (resources.unified ?? [:]).keys.sorted()
    where name.isEmpty || name.hasByte("/") || name == "." || name == ".." {
        found.append(
            SpecError(
                JSONPath("linux.resources.unified").appending(key: name),
                "\(quoted(name)) is not a name of a file", section: "config-linux.md, Unified"))
    }
}
