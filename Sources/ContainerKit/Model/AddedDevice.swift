// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import RuntimeSpec

/// A device that a container gets while it runs: its node, and what its cgroup permits.
public struct AddedDevice: Equatable, Sendable {
    /// The node, as an entry of `linux.devices`.
    public var node: DeviceNode
    /// What the container may do with the device: letters of `rwm`, as in `linux.resources.devices`.
    public var access: String

    /// A device that the container may read and write, and make nodes of, unless `access` says less.
    public init(_ node: DeviceNode, access: String = "rwm") {
        self.node = node
        self.access = access
    }
}

extension AddedDevice {
    /// The rule that permits the access; nil for a pipe, which no rule applies to.
    var rule: DeviceCgroupRule? {
        let kind: DeviceCgroupRule.Kind
        switch node.kind {
        case .block: kind = .block
        case .character, .unbufferedCharacter: kind = .character
        case .fifo: return nil
        }
        return DeviceCgroupRule(
            allow: true, kind: kind, major: node.major, minor: node.minor, access: access)
    }
}
#endif
