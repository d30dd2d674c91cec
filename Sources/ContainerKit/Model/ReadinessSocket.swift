// SPDX-License-Identifier: Apache-2.0

internal import ByteText

/// The socket by which a container's process tells that it is ready.
///
/// Source: sd_notify(3).
enum ReadinessSocket {
    /// Its directory in the state directory.
    static let directoryName = "notify"
    static let name = "notify.sock"
    /// Where the container sees that directory; the place is runc's.
    static let mountPoint = "/run/notify"
    static let environment: [ByteText] = ["NOTIFY_SOCKET=\(mountPoint)/\(name)"]
}
