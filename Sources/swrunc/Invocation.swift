// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging

/// What a command works with.
struct Invocation: Sendable {
    /// What the binary was called by.
    let program: String
    let arguments: Arguments
    let store: ContainerStore
    let logger: Logger
    /// Who makes the cgroups of new containers.
    let cgroupDriver: CgroupDriver
    /// Whether containers go without cgroups that may not be made; nil leaves it to who runs this.
    let rootless: Bool?
    /// Limits that this process has raised for itself, as its caller had them.
    let callerLimits: [Rlimit]

    /// The first operand, which the tables of all commands but list, spec and features demand.
    var containerID: String {
        arguments.operands[0]
    }

    /// The container that the first operand names.
    func container() throws(ContainerError) -> Container {
        try store.container(containerID)
    }
}
