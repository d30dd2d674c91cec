// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging
internal import SystemPackage

/// The flags of update, and the resources made from them.
enum UpdateFlags {
    static let resources = Flag(
        "resources", "r", .bytes, "file with the new limits as JSON, or - for standard input")
    static let blockWeight = Flag(
        "blkio-weight", nil, .number, "weight of block I/O, 10 to 1000", standard: "0")
    static let cpuPeriod = Flag(
        "cpu-period", nil, .text, "length of a period in microseconds; 0 is the system's")
    static let cpuQuota = Flag(
        "cpu-quota", nil, .text, "CPU time in each period, in microseconds; -1 is no limit")
    static let cpuBurst = Flag(
        "cpu-burst", nil, .text, "unused CPU time that may be carried over, in microseconds")
    static let cpuShare = Flag(
        "cpu-share", nil, .text, "weight of CPU time against other containers")
    static let realtimePeriod = Flag(
        "cpu-rt-period", nil, .text, "length of a period of realtime tasks, in microseconds")
    static let realtimeRuntime = Flag(
        "cpu-rt-runtime", nil, .text, "time of realtime tasks in each period, in microseconds")
    static let cpuset = Flag("cpuset-cpus", nil, .text, "CPUs to use, such as 0-3,7")
    static let memoryNodes = Flag("cpuset-mems", nil, .text, "memory nodes to use, such as 0")
    static let kernelMemory = Flag(
        "kernel-memory", nil, .text, "without effect; no kernel limits it any more")
    static let kernelMemoryTCP = Flag(
        "kernel-memory-tcp", nil, .text, "without effect; no kernel limits it any more")
    static let memory = Flag("memory", nil, .text, "limit of memory in bytes; -1 is none")
    static let cpuIdle = Flag(
        "cpu-idle", nil, .text, "1 to run only when nobody else wants to, 0 for the default")
    static let reservation = Flag(
        "memory-reservation", nil, .text, "soft limit of memory in bytes")
    static let swap = Flag(
        "memory-swap", nil, .text, "limit of memory and swap together in bytes; -1 is none")
    static let pids = Flag(
        "pids-limit", nil, .number, "most processes and threads; -1 is no limit")
    static let cacheSchema = Flag(
        "l3-cache-schema", nil, .text, "lines for Intel RDT/CAT, such as L3:0=f;1=ff")
    static let bandwidthSchema = Flag(
        "mem-bw-schema", nil, .text, "line for Intel RDT/MBA, such as MB:0=20;1=70")

    /// The flags that the file of --resources replaces.
    private static let limits = [
        blockWeight, cpuPeriod, cpuQuota, cpuBurst, cpuShare, realtimePeriod, realtimeRuntime,
        cpuset, memoryNodes, kernelMemory, kernelMemoryTCP, memory, cpuIdle, reservation, swap,
        pids,
    ]

    static var all: [Flag] { [resources] + limits + [cacheSchema, bandwidthSchema] }

    /// The new limits.
    static func resources(_ arguments: Arguments, _ logger: Logger) throws(ContainerError)
        -> Resources
    {
        if let path = arguments.path(resources) {
            for flag in limits where arguments.text(flag) != nil {
                throw ContainerError(
                    .invalidArgument, "--resources and --\(flag.name) exclude each other",
                    hint: "say it in the file of --resources")
            }
            let (bytes, name) = try readFileOrInput(path)
            do {
                return try Resources(json: bytes)
            } catch {
                throw ContainerError(.invalidSpec, "\(name): \(error)")
            }
        }
        for flag in [kernelMemory, kernelMemoryTCP] where !(arguments.text(flag) ?? "").isEmpty {
            logger.warning("Setting --\(flag.name) is ignored and will be removed")
        }
        var result = Resources()
        if let limit = arguments.number(pids) { result.pids = PidsResources(limit: Int64(limit)) }
        if let weight = arguments.number(blockWeight), weight != 0 {
            guard let weight = UInt16(exactly: weight) else {
                throw invalid(blockWeight, "\(weight)", "a weight from 10 to 1000")
            }
            result.blockIO = BlockIOResources(weight: weight)
        }
        result.cpu = try cpu(arguments)
        result.memory = try memory(arguments)
        return result
    }

    /// The new schemata for resctrl, which the file of --resources cannot contain.
    static func intelRdt(_ arguments: Arguments) -> IntelRdt? {
        let schemata = IntelRdt(
            l3CacheSchema: text(cacheSchema, arguments),
            memBwSchema: text(bandwidthSchema, arguments))
        return schemata == IntelRdt() ? nil : schemata
    }

    private static func cpu(_ arguments: Arguments) throws(ContainerError) -> CPUResources? {
        let resources = CPUResources(
            shares: try number(cpuShare, arguments), quota: try number(cpuQuota, arguments),
            burst: try number(cpuBurst, arguments), period: try number(cpuPeriod, arguments),
            realtimeRuntime: try number(realtimeRuntime, arguments),
            realtimePeriod: try number(realtimePeriod, arguments),
            cpus: text(cpuset, arguments), mems: text(memoryNodes, arguments),
            idle: try number(cpuIdle, arguments))
        return resources == CPUResources() ? nil : resources
    }

    private static func memory(_ arguments: Arguments) throws(ContainerError)
        -> MemoryResources?
    {
        let resources = MemoryResources(
            limit: try bytes(memory, arguments), reservation: try bytes(reservation, arguments),
            swap: try bytes(swap, arguments))
        return resources == MemoryResources() ? nil : resources
    }

    /// The value of a flag; nil if it is empty.
    private static func text(_ flag: Flag, _ arguments: Arguments) -> String? {
        arguments.text(flag).flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func number<Number: FixedWidthInteger>(_ flag: Flag, _ arguments: Arguments)
        throws(ContainerError) -> Number?
    {
        guard let text = text(flag, arguments) else { return nil }
        guard let number = Number(text) else {
            throw invalid(
                flag, text,
                Number.isSigned ? "a number" : "a number from 0 on")
        }
        return number
    }

    private static func bytes(_ flag: Flag, _ arguments: Arguments) throws(ContainerError)
        -> Int64?
    {
        guard let text = text(flag, arguments) else { return nil }
        guard let count = text == "-1" ? -1 : byteCount(of: text) else {
            throw invalid(flag, text, "a number of bytes such as 1048576, 512k or 1.5g, or -1")
        }
        return count
    }

    /// An error whose message starts as runc's.
    private static func invalid(_ flag: Flag, _ text: String, _ expected: String)
        -> ContainerError
    {
        ContainerError(
            .invalidArgument,
            "invalid value for \(flag.name): \(text.debugDescription) is not \(expected)")
    }

    /// Parses `64M`, `1.5 GiB` or `4096`; the units are binary, as in Docker.
    static func byteCount(of text: String) -> Int64? {
        let number = text.utf8.prefix {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".")
        }
        var unit = Substring(text.utf8.dropFirst(number.count)).lowercased()[...]
        if unit.first == " " { unit = unit.dropFirst() }
        let sizes: [Character: Double] = [
            "k": 0x1p10, "m": 0x1p20, "g": 0x1p30, "t": 0x1p40, "p": 0x1p50,
        ]
        let size = unit.first.flatMap { sizes[$0] }
        if size != nil { unit = unit.dropFirst() }
        // "ib" is valid only after the letter of a unit, as in KiB.
        guard unit == "" || unit == "b" || (size != nil && unit == "ib") else { return nil }
        if size == nil, !number.contains(UInt8(ascii: ".")) { return Int64(Substring(number)) }
        guard let value = Double(Substring(number)), value * (size ?? 1) < 0x1p63 else {
            return nil
        }
        return Int64(value * (size ?? 1))
    }
}
