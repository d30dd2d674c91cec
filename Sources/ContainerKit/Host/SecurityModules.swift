// SPDX-License-Identifier: Apache-2.0

// Host: what this machine has, and what this process may do on it.
//
//   SecurityModules          which security modules are turned on
//   RuntimeRights+Discovery  who this process is on the host
//   GrantableCapabilities    those that it does not hold itself
//   StandardStream+Discovery  what its standard streams are

internal import KernelVocabulary
internal import RuntimeSpec

/// The security modules of the host; asked only where a config names a label.
enum SecurityModules {
    /// Whether AppArmor is in the kernel and turned on.
    static var hasAppArmor: Bool {
        (try? readFile("/sys/module/apparmor/parameters/enabled"))?.first == UInt8(ascii: "Y")
    }

    /// Whether SELinux is turned on: its file system is there only then.
    static var hasSELinux: Bool {
        (try? openFile("/sys/fs/selinux/enforce", .pathOnly)) != nil
    }

    /// Refuses a label that nothing on this host would act on.
    ///
    /// The texts are runc's, which tests and engines know.
    static func check(_ process: Process?, mountLabel: String? = nil) throws(ContainerError) {
        if !(process?.apparmorProfile ?? "").isEmpty, !hasAppArmor {
            throw ContainerError(
                .unsupported, "apparmor: config provided but apparmor not supported",
                field: "process.apparmorProfile",
                hint: "AppArmor is not in this kernel, or turned off")
        }
        let labels = [
            ("process.selinuxLabel", process?.selinuxLabel), ("linux.mountLabel", mountLabel),
        ]
        for (field, label) in labels where !(label ?? "").isEmpty && !hasSELinux {
            throw ContainerError(
                .unsupported,
                "selinux label is specified in config, but selinux is disabled or not supported",
                field: field)
        }
    }
}
