// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// `linux.resources.blockIO`: the v1 controller `blkio`, the v2 controller `io`.
///
/// Spec: config-linux.md, Block IO. Kernel: admin-guide/cgroup-v1/blkio-controller.rst, cgroup-v2.rst,
/// IO; block/bfq-iosched.rst for the weights.
enum BlockIOController {
    static func plan(_ blockIO: BlockIOResources, into writes: inout ControlWrites)
        throws(SpecError)
    {
        if let weight = blockIO.weight, weight != 0 {
            try planWeight(weight, "", "blockIO.weight", into: &writes)
        }
        if let weight = blockIO.leafWeight, weight != 0 {
            try planLeafWeight("\(weight)", "blkio.leaf_weight", "blockIO.leafWeight", &writes)
        }
        for (index, device) in (blockIO.weightDevice ?? []).enumerated() {
            let field = "blockIO.weightDevice[\(index)]"
            let prefix = "\(device.major):\(device.minor) "
            if let weight = device.weight {
                try planWeight(weight, prefix, "\(field).weight", into: &writes)
            }
            if let weight = device.leafWeight {
                try planLeafWeight(
                    "\(prefix)\(weight)", "blkio.leaf_weight_device", "\(field).leafWeight",
                    &writes)
            }
        }
        // The config field, its devices, the v1 file and the key in `io.max` of v2.
        let throttles = [
            ("throttleReadBpsDevice", blockIO.throttleReadBpsDevice, "read_bps_device", "rbps"),
            ("throttleWriteBpsDevice", blockIO.throttleWriteBpsDevice, "write_bps_device", "wbps"),
            ("throttleReadIOPSDevice", blockIO.throttleReadIOPSDevice, "read_iops_device", "riops"),
            (
                "throttleWriteIOPSDevice", blockIO.throttleWriteIOPSDevice, "write_iops_device",
                "wiops"
            ),
        ]
        for (name, devices, file, key) in throttles {
            for (index, device) in (devices ?? []).enumerated() {
                let field = "blockIO.\(name)[\(index)]"
                try planThrottle(device, file, key, from: field, into: &writes)
            }
        }
    }

    private static func planThrottle(
        _ device: ThrottleDevice, _ legacyFile: String, _ unifiedKey: String, from field: String,
        into writes: inout ControlWrites
    ) throws(SpecError) {
        let number = "\(device.major):\(device.minor)"
        if writes.isUnified {
            let rate = device.rate == 0 ? "max" : "\(device.rate)"
            try writes.write("io", "io.max", "\(number) \(unifiedKey)=\(rate)", from: field)
        } else {
            try writes.write(
                "blkio", "blkio.throttle.\(legacyFile)", "\(number) \(device.rate)", from: field)
        }
    }

    /// A weight of 10 to 1000, of the whole cgroup or (`prefix`) of one device; 0 removes a
    /// device's weight.
    private static func planWeight(
        _ weight: UInt16, _ prefix: String, _ field: String, into writes: inout ControlWrites
    ) throws(SpecError) {
        guard weight == 0 || (10...1000).contains(weight) else {
            throw writes.error(
                field, "\(weight) is not a weight (10-1000)", section: "config-linux.md, Block IO")
        }
        // BFQ has its own files; on both v1 and v2 they take the weight unchanged.
        let text = "\(prefix)\(weight)"
        let suffix = prefix.isEmpty ? "" : "_device"
        if writes.isUnified {
            let converted = weight == 0 ? "default" : "\(unifiedWeight(weight))"
            try writes.writeFirst(
                "io", [("io.bfq.weight", text), ("io.weight", prefix + converted)], from: field)
        } else {
            try writes.writeFirst(
                "blkio",
                [("blkio.bfq.weight\(suffix)", text), ("blkio.weight\(suffix)", text)],
                from: field)
        }
    }

    private static func planLeafWeight(
        _ text: String, _ file: String, _ field: String, _ writes: inout ControlWrites
    ) throws(SpecError) {
        guard !writes.isUnified else {
            throw writes.error(field, "cgroup v2 has no leaf weights")
        }
        try writes.write("blkio", file, text, from: field)
    }

    /// Maps the v1 range 10...1000 linearly to the v2 range 1...10000.
    static func unifiedWeight(_ weight: UInt16) -> UInt64 {
        1 + (UInt64(weight) - 10) * 9999 / 990
    }
}

extension BlockIOController {
    /// Reads the I/O statistics of each device.
    static func read(_ files: ControlFiles, into statistics: inout Statistics)
        throws(CgroupError)
    {
        statistics.blockIO =
            files.isUnified ? try readUnified(files) : try readLegacy(files)
    }

    /// Reads `io.stat` of v2: one line per device, `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0
    /// dios=0`.
    private static func readUnified(_ files: ControlFiles) throws(CgroupError)
        -> Statistics.BlockIO
    {
        var blockIO = Statistics.BlockIO()
        for words in try files.lines("io", "io.stat") {
            guard let (major, minor) = device(words[0]) else { continue }
            for word in words.dropFirst() {
                let parts = word.split(separator: "=")
                guard parts.count == 2, let value = UInt64(parts[1]) else { continue }
                func entry(_ operation: String) -> Statistics.BlockIO.Entry {
                    .init(major: major, minor: minor, operation: operation, value: value)
                }
                switch parts[0] {
                case "rbytes": blockIO.serviceBytes.append(entry("Read"))
                case "wbytes": blockIO.serviceBytes.append(entry("Write"))
                case "rios": blockIO.serviced.append(entry("Read"))
                case "wios": blockIO.serviced.append(entry("Write"))
                default: break
                }
            }
        }
        blockIO.pressure = try files.pressure("io.pressure")
        return blockIO
    }

    /// Reads the first group of files that has data: BFQ's, the old scheduler's, or the throttling
    /// files.
    private static func readLegacy(_ files: ControlFiles) throws(CgroupError)
        -> Statistics.BlockIO
    {
        for (prefix, suffix) in [
            ("blkio.bfq.", "_recursive"), ("blkio.", "_recursive"),
            ("blkio.throttle.", "_recursive"), ("blkio.throttle.", ""),
        ] {
            func entries(_ name: String) throws(CgroupError) -> [Statistics.BlockIO.Entry] {
                try files.lines("blkio", prefix + name + suffix).compactMap(legacyEntry)
            }
            var blockIO = Statistics.BlockIO()
            blockIO.serviced = try entries("io_serviced")
            blockIO.serviceBytes = try entries("io_service_bytes")
            if blockIO.serviced.isEmpty, blockIO.serviceBytes.isEmpty { continue }
            if prefix == "blkio.throttle." { return blockIO }
            blockIO.sectors = try entries("sectors")
            blockIO.serviceTime = try entries("io_service_time")
            blockIO.waitTime = try entries("io_wait_time")
            blockIO.merged = try entries("io_merged")
            blockIO.queued = try entries("io_queued")
            blockIO.time = try entries("time")
            return blockIO
        }
        return Statistics.BlockIO()
    }

    /// Parses a line such as `8:0 Read 4096` or `8:0 17`; nil for the sum of all devices, `Total
    /// 4096`.
    private static func legacyEntry(_ words: [String]) -> Statistics.BlockIO.Entry? {
        guard words.count >= 2, let (major, minor) = device(words[0]),
            let value = UInt64(words[words.count - 1])
        else { return nil }
        return .init(
            major: major, minor: minor, operation: words.count > 2 ? words[1] : "", value: value)
    }

    private static func device(_ text: String) -> (major: UInt64, minor: UInt64)? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let major = UInt64(parts[0]), let minor = UInt64(parts[1]) else {
            return nil
        }
        return (major, minor)
    }
}
#endif
