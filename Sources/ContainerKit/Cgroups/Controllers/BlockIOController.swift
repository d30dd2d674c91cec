// SPDX-License-Identifier: Apache-2.0

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
        // The field, its devices, the file of v1 and the key in `io.max` of v2.
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

    /// A weight of 10...1000, of the whole cgroup or (`prefix`) of one device, where 0 takes it away.
    private static func planWeight(
        _ weight: UInt16, _ prefix: String, _ field: String, into writes: inout ControlWrites
    ) throws(SpecError) {
        guard weight == 0 || (10...1000).contains(weight) else {
            throw writes.error(
                field, "\(weight) is not a weight (10-1000)", section: "config-linux.md, Block IO")
        }
        // BFQ has files of its own; its v1 and v2 take the weight as it is.
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

    /// 10...1000 of v1 on the line to 1...10000 of v2.
    static func unifiedWeight(_ weight: UInt16) -> UInt64 {
        1 + (UInt64(weight) - 10) * 9999 / 990
    }
}
