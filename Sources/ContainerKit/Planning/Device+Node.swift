// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import RuntimeSpec

extension Device {
    /// Spec: config-linux.md, Devices.
    ///
    /// Without fileMode a node is made with 0666, as runc does.
    init(_ node: DeviceNode, name: String) {
        let type: UInt32 =
            switch node.kind {
            case .block: 0o060000
            case .character, .unbufferedCharacter: 0o020000
            case .fifo: 0o010000
            }
        self.init(
            name: name, mode: type | (node.fileMode ?? 0o666) & 0o7777,
            major: UInt32(truncatingIfNeeded: node.major),
            minor: UInt32(truncatingIfNeeded: node.minor), userID: node.uid ?? 0,
            groupID: node.gid ?? 0)
    }
}
