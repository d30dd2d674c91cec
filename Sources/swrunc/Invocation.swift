// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging

/// The input of a command.
struct Invocation: Sendable {
    /// The name by which the binary was called.
    let program: String
    let arguments: Arguments
    let store: ContainerStore
    let logger: Logger
    /// Which driver creates the cgroups of new containers.
    let cgroupDriver: CgroupDriver
    /// Whether containers may run without cgroups that cannot be created; nil means yes for
    /// ordinary users and for root of a user namespace.
    let rootless: Bool?
    /// The caller's values of limits that this process has raised for itself.
    let callerLimits: [Rlimit]

    /// The first operand, which every command requires except list, spec and features.
    var containerID: String {
        arguments.operands[0]
    }

    /// The container named by the first operand.
    func container() throws(ContainerError) -> Container {
        try store.container(containerID)
    }
}
