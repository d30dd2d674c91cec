// SPDX-License-Identifier: Apache-2.0

/// Which systemd keeps a unit.
enum SystemdInstance: String, Sendable {
    /// The one of the machine.
    case system
    /// The one of a user.
    case user
}

/// What the systemd of the host is, as far as plans depend on it.
struct SystemdHost: Equatable, Sendable {
    var instance: SystemdInstance
    /// The number of its version; 0 when it did not tell one.
    var version: Int
    /// The cgroup that its units are below: empty for the root, else `/a/b`.
    var controlGroup: String
}
