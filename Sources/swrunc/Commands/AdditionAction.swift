// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

/// What `mounts` and `devices` do with what a running container was given.
enum AdditionAction: String {
    case add, remove, list

    /// The action that the first operand of the command names.
    init(_ words: [String], of command: String) throws(ContainerError) {
        guard let action = AdditionAction(rawValue: words[0]) else {
            throw ContainerError(
                .invalidArgument, "\(command) does not know \(words[0].debugDescription)",
                hint: "add, remove or list")
        }
        self = action
    }

    /// Refuses a third operand of `list`.
    static func checkList(_ words: [String], of command: String) throws(ContainerError) {
        guard words.count == 2 else {
            throw ContainerError(
                .invalidArgument, "\(command) list takes no file, but got \"\(words[2])\"")
        }
    }
}
