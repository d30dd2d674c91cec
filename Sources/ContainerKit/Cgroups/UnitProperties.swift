// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// `linux.resources` as properties of a unit.
///
/// Whenever systemd applies a unit, it writes its own values of the limits to the cgroup. So every
/// limit that has a property is passed to systemd; the other files keep their contents. The version
/// matters, because an unknown property fails the whole call.
enum UnitProperties {
    /// The properties of every new scope, without its processes, which are added when it is
    /// started.
    static func base(of scope: SystemdScope, id: String, isUnified: Bool) -> [UnitProperty] {
        [
            UnitProperty("Description", .string("container \(id)")),
            UnitProperty("Slice", .string(scope.slice)),
            // systemd must not touch the container's own cgroups below the scope.
            UnitProperty("Delegate", .boolean(true)),
            UnitProperty("MemoryAccounting", .boolean(true)),
            UnitProperty("CPUAccounting", .boolean(true)),
            UnitProperty(isUnified ? "IOAccounting" : "BlockIOAccounting", .boolean(true)),
            UnitProperty("TasksAccounting", .boolean(true)),
            // No ordering dependencies on the targets of boot and shutdown.
            UnitProperty("DefaultDependencies", .boolean(false)),
        ]
    }

    /// What systemd does with the scope after an OOM kill; can only be set for a new scope.
    static func outOfMemoryPolicy(_ resources: Resources, version: Int) -> [UnitProperty] {
        guard version >= 253, let text = resources.unified?["memory.oom.group"] else { return [] }
        switch words(of: Array(text.utf8)) {
        case ["0"]: return [UnitProperty("OOMPolicy", .string("continue"))]
        case ["1"]: return [UnitProperty("OOMPolicy", .string("kill"))]
        default: return []
        }
    }

    /// The properties for `resources`, whose values the controllers have already checked.
    static func planned(
        for resources: Resources, version: Int, isUnified: Bool
    ) throws(SpecError) -> [UnitProperty] {
        var properties: [UnitProperty] = []
        if let memory = resources.memory { addMemory(memory, isUnified, to: &properties) }
        if let cpu = resources.cpu {
            addWeight(cpu, version, isUnified, to: &properties)
            let quota = cpu.quota ?? 0
            let period = cpu.period ?? 0
            if quota != 0 || period != 0 {
                addQuota(quota, period, version, to: &properties)
            }
            try addSet(
                "AllowedCPUs", cpu.cpus, "linux.resources.cpu.cpus", version, to: &properties)
            try addSet(
                "AllowedMemoryNodes", cpu.mems, "linux.resources.cpu.mems", version,
                to: &properties)
        }
        if let limit = resources.pids?.limit {
            properties.append(
                UnitProperty("TasksMax", .uint64(limit < 0 ? .max : UInt64(max(limit, 1)))))
        }
        if !isUnified, let weight = resources.blockIO?.weight, weight != 0 {
            properties.append(UnitProperty("BlockIOWeight", .uint64(UInt64(weight))))
        }
        if isUnified, let files = resources.unified {
            try addUnified(files, version, to: &properties)
        }
        return properties
    }

    // MARK: - Memory

    private static func addMemory(
        _ memory: MemoryResources, _ isUnified: Bool, to properties: inout [UnitProperty]
    ) {
        func add(_ name: String, _ limit: Int64?) {
            guard let limit, limit != 0 else { return }
            properties.append(UnitProperty(name, .uint64(UInt64(bitPattern: limit))))
        }
        guard isUnified else {
            add("MemoryLimit", memory.limit)
            return
        }
        add("MemoryMax", memory.limit)
        add("MemoryLow", memory.reservation)
        // Zero is a limit for swap, although it means "not set" in the config.
        if let swap = MemoryController.unifiedSwapBytes(memory) {
            properties.append(UnitProperty("MemorySwapMax", .uint64(UInt64(bitPattern: swap))))
        }
    }

    // MARK: - CPU

    private static func addWeight(
        _ cpu: CPUResources, _ version: Int, _ isUnified: Bool, to properties: inout [UnitProperty]
    ) {
        if isUnified, cpu.idle == 1, version >= 252 {
            // The weight 0 means an idle cgroup.
            properties.append(UnitProperty("CPUWeight", .uint64(0)))
        } else if let shares = cpu.shares, shares != 0 {
            properties.append(
                isUnified
                    ? UnitProperty("CPUWeight", .uint64(CPUController.weight(ofShares: shares)))
                    : UnitProperty("CPUShares", .uint64(shares)))
        }
    }

    /// Adds a quota, in microseconds of CPU time per second.
    ///
    /// systemd stores whole percents of a CPU. Rounding up leaves enough for limits of cgroups
    /// below.
    private static func addQuota(
        _ quota: Int64, _ period: UInt64, _ version: Int, to properties: inout [UnitProperty]
    ) {
        if period != 0, version >= 242 {
            properties.append(UnitProperty("CPUQuotaPeriodUSec", .uint64(period)))
        }
        properties.append(
            UnitProperty("CPUQuotaPerSecUSec", .uint64(quotaPerSecond(quota, period))))
    }

    static func quotaPerSecond(_ quota: Int64, _ period: UInt64) -> UInt64 {
        let period = period == 0 ? 100_000 : period
        guard quota > 0 else { return .max }
        let (product, overflows) = UInt64(quota).multipliedReportingOverflow(by: 1_000_000)
        guard !overflows, product / period < .max - 10_000 else { return .max }
        return (product / period + 9_999) / 10_000 * 10_000
    }

    /// Rounds a quota up like systemd, so that the file and the unit agree.
    ///
    /// runc does the same. As with runc, a text in `unified` is written to its file unchanged.
    static func roundQuota(_ cpu: inout CPUResources?) {
        guard let quota = cpu?.quota, quota > 0 else { return }
        let given = cpu?.period ?? 0
        let period = given == 0 ? 100_000 : given
        let perSecond = quotaPerSecond(quota, period)
        let (product, overflows) = perSecond.multipliedReportingOverflow(by: period)
        // The kernel is left to refuse a quota that is too large.
        guard perSecond != .max, !overflows else { return }
        cpu?.quota = max(quota, Int64(product / 1_000_000))
    }

    /// Adds a list of CPUs or memory nodes as a bit set, with the lowest numbers in the first byte.
    private static func addSet(
        _ name: String, _ list: String?, _ field: JSONPath, _ version: Int,
        to properties: inout [UnitProperty]
    ) throws(SpecError) {
        guard let list, !list.isEmpty, version >= 244 else { return }
        guard let bits = bits(of: list) else {
            throw SpecError(
                field, "\"\(list)\" is not a list of numbers and ranges, such as \"0-3,8\"",
                section: "config-linux.md, CPU")
        }
        properties.append(UnitProperty(name, .bytes(bits)))
    }

    /// The bit set of a list such as `0-3,8`; nil for another text, or a number that no machine
    /// has.
    static func bits(of list: String) -> [UInt8]? {
        var bits: [UInt8] = []
        for part in list.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false)
                .map { trimmed($0) }
            guard let first = ends.first.flatMap({ UInt16($0) }), ends.count <= 2,
                let last = ends.last.flatMap({ UInt16($0) }), first <= last, last < 8192
            else { return nil }
            for number in Int(first)...Int(last) {
                while bits.count <= number / 8 { bits.append(0) }
                bits[number / 8] |= 1 << UInt8(number % 8)
            }
        }
        return bits
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " }
        while text.last == " " { text = text.dropLast() }
        return text
    }

    // MARK: - Unified

    private static func addUnified(
        _ files: [String: String], _ version: Int, to properties: inout [UnitProperty]
    ) throws(SpecError) {
        for (file, text) in files.sorted(by: { $0.key < $1.key }) {
            let field = JSONPath("linux.resources.unified").appending(key: file)
            let words = words(of: Array(text.utf8))
            func number() throws(SpecError) -> DBusValue {
                if words == ["max"] { return .uint64(.max) }
                guard words.count == 1, let number = UInt64(words[0]) else {
                    throw SpecError(field, "\"\(text)\" is neither a number nor \"max\"")
                }
                return .uint64(number)
            }
            switch file {
            case "cpu.idle" where words == ["1"] && version >= 252:
                properties.append(UnitProperty("CPUWeight", .uint64(0)))
            case "cpu.weight" where !(UnifiedFiles.isIdle(files) && version >= 252):
                properties.append(UnitProperty("CPUWeight", try number()))
            case "cpu.max":
                guard let first = words.first, words.count <= 2,
                    let quota = first == "max" ? -1 : Int64(first),
                    let period = words.count == 2 ? UInt64(words[1]) : 100_000
                else {
                    throw SpecError(field, "\"\(text)\" is not a quota and a period")
                }
                addQuota(quota, period, version, to: &properties)
            case "cpuset.cpus":
                try addSet("AllowedCPUs", words.joined(), field, version, to: &properties)
            case "cpuset.mems":
                try addSet("AllowedMemoryNodes", words.joined(), field, version, to: &properties)
            case "pids.max": properties.append(UnitProperty("TasksMax", try number()))
            default:
                if let name = memoryFiles[file] {
                    properties.append(UnitProperty(name, try number()))
                }
            }
        }
    }

    private static let memoryFiles = [
        "memory.high": "MemoryHigh", "memory.low": "MemoryLow", "memory.min": "MemoryMin",
        "memory.max": "MemoryMax", "memory.swap.max": "MemorySwapMax",
    ]
}

extension DeviceAccess {
    /// The rules as properties, for cgroup v1 only.
    ///
    /// On v1, systemd allows all devices again when it applies a unit without rules. On v2 it
    /// leaves foreign BPF programs alone, and a second program beside ours could only deny what a
    /// hook allows later. Rules that systemd cannot express are left to the files, which are
    /// written last.
    func unitProperties(version: Int) -> [UnitProperty] {
        guard !allowsByDefault else {
            return [
                UnitProperty("DevicePolicy", .string("auto")),
                UnitProperty("DeviceAllow", .array(of: "(ss)", [])),
            ]
        }
        let allowed = exceptions.compactMap { exception -> DBusValue? in
            let kind = exception.devices.kind == .block ? "block" : "char"
            let device: String
            switch (exception.devices.major, exception.devices.minor) {
            case (nil, nil): device = "\(kind)-*"
            case (nil, _?): return nil
            // A major number instead of a name, since version 240.
            case (let major?, nil) where version >= 240: device = "\(kind)-\(major)"
            case (_, nil): return nil
            case (let major?, let minor?): device = "/dev/\(kind)/\(major):\(minor)"
            }
            return .structure([.string(device), .string(exception.access.letters)])
        }
        return [
            UnitProperty("DevicePolicy", .string("strict")),
            UnitProperty("DeviceAllow", .array(of: "(ss)", allowed)),
        ]
    }
}
#endif
