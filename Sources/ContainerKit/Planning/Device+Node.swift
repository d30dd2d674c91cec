// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

extension Device {
    /// Spec: config-linux.md, Devices.
    ///
    /// Without fileMode a node is made with 0666, as runc does.
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
