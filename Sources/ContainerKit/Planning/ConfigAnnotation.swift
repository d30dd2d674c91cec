// SPDX-License-Identifier: Apache-2.0

/// The annotations of a config that change what the runtime does.
///
/// Those that begin with `run.oci.` are crun's; who lets others choose annotations must know of all
/// (`potentiallyUnsafeConfigAnnotations` of the features document).
enum ConfigAnnotation {
    /// A file that the output of hooks is appended to.
    static let hookOutput = "run.oci.hooks.stdout"
    /// A file that the errors of hooks are appended to.
    static let hookErrors = "run.oci.hooks.stderr"
    /// Whatever its text: the process keeps the supplementary groups of the runtime's caller, and gets
    /// no others (Podman's `--group-add keep-groups`).
    static let keepGroups = "run.oci.keep_original_groups"
    /// The mount option that `linux.mountLabel` is given by; see `labelOptions`.
    static let labelOption = "run.oci.mount_context_type"
    /// Whatever its text: a system call of the profile that libseccomp does not know is an error.
    static let failOnUnknownSystemCall = "run.oci.seccomp_fail_unknown_syscall"
    /// With the name of a property behind it: a property of the systemd scope.
    static let systemdProperty = "org.systemd.property."

    /// All, sorted; one that ends in a dot is a prefix.
    static var all: [String] {
        [
            systemdProperty, hookErrors, hookOutput, keepGroups, labelOption,
            failOnUnknownSystemCall,
        ].sorted()
    }

    /// The options of a label: for every file, or for the file system, for files without a label, for
    /// the root alone.
    ///
    /// Kernel: security/selinux, mount(8).
    static let labelOptions = ["context", "fscontext", "defcontext", "rootcontext"]
}
