// SPDX-License-Identifier: Apache-2.0

/// The flags before the command's name.
enum GlobalFlags {
    static let root = Flag(
        "root", nil, .text, "directory of the containers' state, best on a tmpfs",
        standard: "/run/swrunc, for users other than root $XDG_RUNTIME_DIR/swrunc")
    static let log = Flag("log", nil, .bytes, "file to append the log to", standard: "stderr")
    static let logFormat = Flag(
        "log-format", nil, .text, "format of the log, text or json", standard: "text")
    static let logLevel = Flag(
        "log-level", nil, .text, "least that is logged: error, warning or debug",
        standard: "warning, in a file error")
    static let debug = Flag("debug", nil, .toggle, "log every step")
    static let systemdCgroup = Flag(
        "systemd-cgroup", nil, .toggle,
        "let systemd keep the cgroups; cgroupsPath is slice:prefix:name then")
    static let rootless = Flag(
        "rootless", nil, .text,
        "true, false or auto: do without cgroups that may not be made", standard: "auto")
    static let version = Flag("version", "v", .toggle, "print the version")

    static var all: [Flag] {
        [root, log, logFormat, logLevel, debug, systemdCgroup, rootless, .help, version]
    }
}
