// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

extension StepList {
    /// Adds the labels by which the kernel confines the program from execve on.
    ///
    /// A key ring gets the label of the process that joins it, so this comes before. execve clears
    /// the label of new keys. It is a single step, since an exec opens the host's procfs only for
    /// one.
    mutating func addSecurityLabels(of process: Process, joinsSessionKeyring: Bool) {
        var labels: [SecurityLabel] = []
        var field: Origin = "process.selinuxLabel"
        if let profile = process.apparmorProfile, !profile.isEmpty {
            labels.append(.apparmor(profile: profile))
            field = "process.apparmorProfile"
        }
        if let label = process.selinuxLabel, !label.isEmpty {
            if joinsSessionKeyring { labels.append(.keyring(label)) }
            labels.append(.process(label))
        }
        if !labels.isEmpty { add(.label(.setSecurityLabels(labels)), from: field) }
    }
}

extension Process {
    /// Whether the process has a label of a security module.
    var hasSecurityLabel: Bool {
        !(apparmorProfile ?? "").isEmpty || !(selinuxLabel ?? "").isEmpty
    }
}

extension SecurityLabel {
    /// The label that aa_change_onexec(2) writes.
    ///
    /// Kernel: Documentation/admin-guide/LSM/apparmor.rst.
    static func apparmor(profile: String) -> SecurityLabel {
        SecurityLabel(
            file: "attr/apparmor/exec", text: "exec \(profile)",
            purpose: "unable to apply apparmor profile \"\(profile)\"")
    }

    /// The label of the program.
    ///
    /// Kernel: proc_pid_attr(5), exec.
    static func process(_ label: String) -> SecurityLabel {
        SecurityLabel(
            file: "attr/exec", text: label, purpose: "can't set process label \"\(label)\"")
    }

    /// The label of new keys.
    ///
    /// Kernel: proc_pid_attr(5), keycreate.
    static func keyring(_ label: String) -> SecurityLabel {
        SecurityLabel(
            file: "attr/keycreate", text: label, purpose: "can't set key label \"\(label)\"")
    }
}
#endif
