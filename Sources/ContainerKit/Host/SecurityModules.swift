// SPDX-License-Identifier: Apache-2.0

// Host: the features of this machine, and the rights of this process on it.
//
//   SecurityModules          the security modules that are enabled
//   RuntimeRights+Discovery  the user and rights of this process on the host
//   GrantableCapabilities    the capabilities that it can grant
//   CapabilityNames          capabilities by name, by libcap
//   StandardStream+Discovery  the types of its standard streams

#if os(Linux)
internal import KernelVocabulary
internal import RuntimeSpec

/// The security modules of the host; checked only if a config sets a label.
enum SecurityModules {
    /// Whether AppArmor is in the kernel and enabled.
    static var hasAppArmor: Bool {
        (try? readFile("/sys/module/apparmor/parameters/enabled"))?.first == UInt8(ascii: "Y")
    }

    /// Whether SELinux is enabled: only then is its file system mounted.
    static var hasSELinux: Bool {
        (try? openFile("/sys/fs/selinux/enforce", .pathOnly)) != nil
    }

    /// Refuses a label that no enabled module would apply.
    ///
    /// The texts are runc's, which tests and engines know.
    static func check(_ process: Process?, mountLabel: String? = nil) throws(ContainerError) {
        if !(process?.apparmorProfile ?? "").isEmpty, !hasAppArmor {
            throw ContainerError(
                .unsupported, "apparmor: config provided but apparmor not supported",
                field: "process.apparmorProfile",
                hint: "AppArmor is not in this kernel, or turned off")
        }
        try check(process?.selinuxLabel, "process.selinuxLabel")
        try check(mountLabel, "linux.mountLabel")
    }

    private static func check(_ label: String?, _ field: String) throws(ContainerError) {
        guard !(label ?? "").isEmpty, !hasSELinux else { return }
        throw ContainerError(
            .unsupported,
            "selinux label is specified in config, but selinux is disabled or not supported",
            field: field)
    }
}
#endif
