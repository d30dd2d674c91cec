// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

extension Device {
    /// The device for a node of the config.
    ///
    /// Without fileMode, the mode is 0666, as with runc. Spec: config-linux.md, Devices.
    init(_ node: DeviceNode, name: String) {
        let type: FileKind =
            switch node.kind {
            case .block: .blockDevice
            case .character, .unbufferedCharacter: .characterDevice
            case .fifo: .fifo
            }
        self.init(
            name: name, mode: FileMode(type, Int(node.fileMode ?? 0o666) & FileMode.permissionMask),
            major: UInt32(truncatingIfNeeded: node.major),
            minor: UInt32(truncatingIfNeeded: node.minor), userID: node.uid ?? 0,
            groupID: node.gid ?? 0)
    }
}
#endif
