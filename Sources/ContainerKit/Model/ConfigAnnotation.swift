// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import RuntimeSpec

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
    /// The socket that takes seccomp's notify descriptor, where `listenerPath` names none.
    static let seccompReceiver = "run.oci.seccomp.receiver"
    /// The program of the filter itself, in base64: it stands for all of `linux.seccomp`.
    static let seccompProgram = "run.oci.seccomp_bpf_data"
    /// The socket that is sent init's pidfd, where the caller names none.
    static let pidfdReceiver = "run.oci.pidfd_receiver"
    /// The cgroup below systemd's scope that is the container's; the scope itself without one.
    static let systemdSubgroup = "run.oci.systemd.subgroup"
    /// The cgroup below the container's that its process is in, so that it can divide its own.
    static let delegatedCgroup = "run.oci.delegate-cgroup"
    /// The file of settings that overrule what CRIU is told; without a text none does.
    static let criuConfig = "org.criu.config"
    /// With the name of a property behind it: a property of the systemd scope.
    static let systemdProperty = "org.systemd.property."

    /// All, sorted; one that ends in a dot is a prefix.
    static var all: [String] {
        [
            systemdProperty, hookErrors, hookOutput, keepGroups, labelOption,
            failOnUnknownSystemCall, seccompReceiver, seccompProgram, pidfdReceiver,
            systemdSubgroup, delegatedCgroup, criuConfig,
        ].sorted()
    }

    /// The options of a label: for every file, or for the file system, for files without a label, for
    /// the root alone.
    ///
    /// Kernel: security/selinux, mount(8).
    static let labelOptions = ["context", "fscontext", "defcontext", "rootcontext"]
}

extension Spec {
    /// The config with what annotations say in place of its fields.
    ///
    /// - Throws: `invalidSpec` for an annotation that says nothing useful.
    func followingAnnotations() throws(ContainerError) -> Spec {
        guard let annotations, !annotations.isEmpty else { return self }
        var spec = self
        for name in [ConfigAnnotation.seccompReceiver, ConfigAnnotation.pidfdReceiver] {
            // The working directory of who calls is no place that a config could know.
            guard let path = annotations[name], !path.begins(with: "/") else { continue }
            throw ContainerError(
                .invalidSpec, "must be an absolute path, not \(path.debugDescription)",
                field: "annotations.\(name)")
        }
        if annotations[ConfigAnnotation.seccompProgram] != nil {
            guard annotations[ConfigAnnotation.seccompReceiver] == nil else {
                throw ContainerError(
                    .invalidSpec, "excludes \(ConfigAnnotation.seccompReceiver)",
                    field: "annotations.\(ConfigAnnotation.seccompProgram)")
            }
            spec.linux?.seccomp = nil
        } else if (linux?.seccomp?.listenerPath ?? "").isEmpty,
            let receiver = annotations[ConfigAnnotation.seccompReceiver]
        {
            spec.linux?.seccomp?.listenerPath = receiver
        }
        return spec
    }
}
