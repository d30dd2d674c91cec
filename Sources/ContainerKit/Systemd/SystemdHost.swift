// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// The systemd that manages a unit.
enum SystemdInstance: String, Sendable {
    /// The systemd of the machine.
    case system
    /// The systemd of a user.
    case user
}

/// Facts about the host's systemd that plans depend on.
struct SystemdHost: Equatable, Sendable {
    var instance: SystemdInstance
    /// The version number; 0 if it is unknown.
    var version: Int
    /// The cgroup that contains its units: empty for the root, else `/a/b`.
    var controlGroup: String
}
#endif
