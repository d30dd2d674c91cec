// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText

/// The socket by which a container's process reports readiness.
///
/// Source: sd_notify(3).
enum ReadinessSocket {
    /// The socket's directory inside the state directory.
    static let directoryName = "notify"
    static let name = "notify.sock"
    /// The path of that directory in the container, which is runc's.
    static let mountPoint = "/run/notify"
    static let environment: [ByteText] = ["NOTIFY_SOCKET=\(mountPoint)/\(name)"]
}
#endif
