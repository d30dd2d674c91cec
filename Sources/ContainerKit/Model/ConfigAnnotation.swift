// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// The annotations of a config that change what the runtime does.
///
/// Those that begin with `run.oci.` are crun's, and `org.swrunc.` is the runtime's own. Whoever lets others choose annotations must check
/// all of these (`potentiallyUnsafeConfigAnnotations` of the features document).
enum ConfigAnnotation {
    /// A file to which the output of hooks is appended.
    static let hookOutput = "run.oci.hooks.stdout"
    /// A file to which the errors of hooks are appended.
    static let hookErrors = "run.oci.hooks.stderr"
    /// With any value: the process keeps the supplementary groups of the runtime's caller, and gets
    /// no others (Podman's `--group-add keep-groups`).
    static let keepGroups = "run.oci.keep_original_groups"
    /// The mount option for `linux.mountLabel`; see `labelOptions`.
    static let labelOption = "run.oci.mount_context_type"
    /// With any value: a system call in the profile that libseccomp does not know is an error.
    static let failOnUnknownSystemCall = "run.oci.seccomp_fail_unknown_syscall"
    /// The socket for seccomp's notify descriptor, if `listenerPath` names none.
    static let seccompReceiver = "run.oci.seccomp.receiver"
    /// The filter's BPF program in base64; it replaces all of `linux.seccomp`.
    static let seccompProgram = "run.oci.seccomp_bpf_data"
    /// The socket that init's pidfd is sent to, if the caller names none.
    static let pidfdReceiver = "run.oci.pidfd_receiver"
    /// The container's cgroup below systemd's scope; without it, the scope itself is used.
    static let systemdSubgroup = "run.oci.systemd.subgroup"
    /// The cgroup below the container's in which its process runs, so that it can make cgroups of
    /// its own.
    static let delegatedCgroup = "run.oci.delegate-cgroup"
    /// Rules of Landlock, as the JSON text of `Landlock`.
    static let landlock = "org.swrunc.landlock"
    /// A file of settings that override the request to CRIU; an empty value means none.
    static let criuConfig = "org.criu.config"
    /// Followed by the name of a property: sets a property of the systemd scope.
    static let systemdProperty = "org.systemd.property."

    /// The place of the rules of Landlock in a config.
    static var landlockPath: JSONPath { JSONPath("annotations").appending(key: landlock) }

    /// All annotations, sorted; one that ends in a dot is a prefix.
    static var all: [String] {
        [
            systemdProperty, hookErrors, hookOutput, keepGroups, labelOption,
            failOnUnknownSystemCall, seccompReceiver, seccompProgram, pidfdReceiver,
            systemdSubgroup, delegatedCgroup, criuConfig, landlock,
        ].sorted()
    }

    /// The mount options for a label: for every file, for the file system, for files without a
    /// label, or for the root directory alone.
    ///
    /// Kernel: security/selinux, mount(8).
    static let labelOptions = ["context", "fscontext", "defcontext", "rootcontext"]
}

extension Spec {
    /// The config with the fields that annotations override.
    ///
    /// - Throws: `invalidSpec` for an invalid annotation.
    func followingAnnotations() throws(ContainerError) -> Spec {
        guard let annotations, !annotations.isEmpty else { return self }
        _ = try landlock()
        var spec = self
        for name in [ConfigAnnotation.seccompReceiver, ConfigAnnotation.pidfdReceiver] {
            // A config cannot know the caller's working directory.
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

    /// The rules of Landlock in the annotation; nil if there are none.
    ///
    /// - Throws: `invalidSpec`.
    func landlock() throws(ContainerError) -> Landlock? {
        guard let text = annotations?[ConfigAnnotation.landlock] else { return nil }
        let path = ConfigAnnotation.landlockPath
        do throws(SpecDecodingError) {
            return try Landlock(json: Array(text.utf8), at: path)
        } catch {
            switch error {
            case .syntax(let error):
                throw ContainerError(.invalidSpec, "\(error)", field: path.description)
            case .fields(let errors): throw ContainerError(errors)
            }
        }
    }
}
#endif
