// SPDX-License-Identifier: Apache-2.0

/// The block I/O of a cgroup.
///
/// Spec: config-linux.md, Block IO.
public struct BlockIOResources: Hashable, Sendable {
    /// The weight against other cgroups.
    public var weight: UInt16?
    /// The weight against child cgroups; cgroup v1 only.
    public var leafWeight: UInt16?
    /// The weights on devices.
    public var weightDevice: [WeightDevice]?
    /// The limits of reading, in bytes a second.
    public var throttleReadBpsDevice: [ThrottleDevice]?
    /// The limits of writing, in bytes a second.
    public var throttleWriteBpsDevice: [ThrottleDevice]?
    /// The limits of reads, in operations a second.
    public var throttleReadIOPSDevice: [ThrottleDevice]?
    /// The limits of writes, in operations a second.
    public var throttleWriteIOPSDevice: [ThrottleDevice]?

    /// A value of the given fields.
    public init(
        weight: UInt16? = nil, leafWeight: UInt16? = nil, weightDevice: [WeightDevice]? = nil,
        throttleReadBpsDevice: [ThrottleDevice]? = nil,
        throttleWriteBpsDevice: [ThrottleDevice]? = nil,
        throttleReadIOPSDevice: [ThrottleDevice]? = nil,
        throttleWriteIOPSDevice: [ThrottleDevice]? = nil
    ) {
        self.weight = weight
        self.leafWeight = leafWeight
        self.weightDevice = weightDevice
        self.throttleReadBpsDevice = throttleReadBpsDevice
        self.throttleWriteBpsDevice = throttleWriteBpsDevice
        self.throttleReadIOPSDevice = throttleReadIOPSDevice
        self.throttleWriteIOPSDevice = throttleWriteIOPSDevice
    }
}

extension BlockIOResources: SpecObject {
    static var blank: BlockIOResources { BlockIOResources() }
    static var section: String { "config-linux.md, Block IO" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.optional("weight", &weight)
        visitor.optional("leafWeight", &leafWeight)
        visitor.optional("weightDevice", &weightDevice)
        visitor.optional("throttleReadBpsDevice", &throttleReadBpsDevice)
        visitor.optional("throttleWriteBpsDevice", &throttleWriteBpsDevice)
        visitor.optional("throttleReadIOPSDevice", &throttleReadIOPSDevice)
        visitor.optional("throttleWriteIOPSDevice", &throttleWriteIOPSDevice)
    }
}

/// The weight of a cgroup on a block device.
///
/// Spec: config-linux.md, Block IO.
public struct WeightDevice: Hashable, Sendable {
    /// The major number of the device.
    public var major: Int64
    /// The minor number of the device.
    public var minor: Int64
    /// The weight against other cgroups.
    public var weight: UInt16?
    /// The weight against child cgroups; cgroup v1 only.
    public var leafWeight: UInt16?

    /// A value of the given fields.
    public init(major: Int64, minor: Int64, weight: UInt16? = nil, leafWeight: UInt16? = nil) {
        self.major = major
        self.minor = minor
        self.weight = weight
        self.leafWeight = leafWeight
    }
}

extension WeightDevice: SpecObject {
    static var blank: WeightDevice { WeightDevice(major: 0, minor: 0) }
    static var section: String { "config-linux.md, Block IO" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("major", &major)
        visitor.required("minor", &minor)
        visitor.optional("weight", &weight)
        visitor.optional("leafWeight", &leafWeight)
    }
}

/// A limit of I/O on a block device.
///
/// Spec: config-linux.md, Block IO.
public struct ThrottleDevice: Hashable, Sendable {
    /// The major number of the device.
    public var major: Int64
    /// The minor number of the device.
    public var minor: Int64
    /// The limit a second; 0 is no limit.
    public var rate: UInt64

    /// A value of the given fields.
    public init(major: Int64, minor: Int64, rate: UInt64) {
        self.major = major
        self.minor = minor
        self.rate = rate
    }
}

extension ThrottleDevice: SpecObject {
    static var blank: ThrottleDevice { ThrottleDevice(major: 0, minor: 0, rate: 0) }
    static var section: String { "config-linux.md, Block IO" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("major", &major)
        visitor.required("minor", &minor)
        visitor.required("rate", &rate)
    }
}
