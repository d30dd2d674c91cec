// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// The seccomp filter that this process itself runs under: the profile of an outer container or
/// service.
///
/// It returns EPERM or ENOSYS, so that a refusal looks like one about a path or a right.
enum OuterFilter {
    /// The hint for a refusal by a filter; nil if the kernel itself may have refused.
    ///
    /// Called only after a failure: it repeats the call with arguments that the kernel would refuse
    /// by another error.
    static func hint(for failure: SystemCallError) -> String? {
        guard failure.errno == .notPermitted || failure.errno == .noFunction,
            let call = calls.first(where: { failure.call == $0.name })
        else { return nil }
        // For some calls the kernel checks the caller's rights before the arguments.
        if let capability = call.capability, heldCapabilities() & 1 << capability == 0 {
            return nil
        }
        let (a, b, c, d, e) = call.arguments
        let answer = raw_system_call(Int(call.number), a, b, c, d, e, 0)
        guard answer == -Int(failure.errno.rawValue) else { return nil }
        // PR_GET_SECCOMP; 2 means a filter. If the call itself is refused, there is a filter.
        if raw_system_call(Int(__NR_prctl), 21, 0, 0, 0, 0, 0) == 0 {
            guard failure.errno == .noFunction else { return nil }
            return "this kernel has no \(call.name): Linux 5.14 or later is needed"
        }
        return "a seccomp filter that the runtime itself runs under refuses \(call.name): the "
            + "profile of the outer container (--security-opt seccomp=), or SystemCallFilter= of its service, "
            + "must permit it"
    }

    private struct Probe {
        let name: String
        let number: Int32
        let arguments: (Int, Int, Int, Int, Int)
        /// The number of the capability that the call requires.
        var capability: UInt64?
    }

    private static let setgid: UInt64 = 6
    private static let sysAdmin: UInt64 = 21

    /// Arguments that are refused before the call has an effect: invalid descriptors, addresses and
    /// flags.
    private static var calls: [Probe] {
        [
            Probe(name: "openat2", number: __NR_openat2, arguments: (-1, 0, 0, 0, 0)),
            Probe(
                name: "statx", number: __NR_statx,
                arguments: (-1, 0, 0, StatusMask.reserved.rawValue, 0)),
            Probe(name: "clone3", number: __NR_clone3, arguments: (0, 0, 0, 0, 0)),
            Probe(name: "close_range", number: __NR_close_range, arguments: (1, 0, 0, 0, 0)),
            Probe(name: "faccessat2", number: __NR_faccessat2, arguments: (-1, 0, 0, -1, 0)),
            Probe(name: "pidfd_open", number: __NR_pidfd_open, arguments: (-1, 0, 0, 0, 0)),
            Probe(
                name: "pidfd_send_signal", number: __NR_pidfd_send_signal,
                arguments: (-1, 0, 0, -1, 0)),
            Probe(name: "pidfd_getfd", number: __NR_pidfd_getfd, arguments: (-1, -1, -1, 0, 0)),
            Probe(name: "memfd_create", number: __NR_memfd_create, arguments: (0, -1, 0, 0, 0)),
            Probe(name: "open_tree", number: __NR_open_tree, arguments: (-1, 0, -1, 0, 0)),
            Probe(name: "mount_setattr", number: __NR_mount_setattr, arguments: (-1, 0, -1, 0, 0)),
            Probe(name: "fsconfig", number: __NR_fsconfig, arguments: (-1, -1, 0, 0, 0)),
            Probe(name: "keyctl", number: __NR_keyctl, arguments: (-1, 0, 0, 0, 0)),
            Probe(name: "seccomp", number: __NR_seccomp, arguments: (-1, 0, 0, 0, 0)),
            Probe(name: "setns", number: __NR_setns, arguments: (-1, 0, 0, 0, 0)),
            Probe(
                name: "set_mempolicy", number: __NR_set_mempolicy, arguments: (-1, 0, 0, 0, 0)),
            Probe(
                name: "sched_setattr", number: __NR_sched_setattr, arguments: (-1, 0, 0, 0, 0)),
            Probe(name: "prlimit64", number: __NR_prlimit64, arguments: (0, -1, 0, 0, 0)),
            Probe(
                name: "fsopen", number: __NR_fsopen, arguments: (0, -1, 0, 0, 0),
                capability: sysAdmin),
            Probe(
                name: "fsmount", number: __NR_fsmount, arguments: (-1, -1, 0, 0, 0),
                capability: sysAdmin),
            Probe(
                name: "move_mount", number: __NR_move_mount, arguments: (-1, 0, -1, 0, -1),
                capability: sysAdmin),
            Probe(
                name: "mount", number: __NR_mount, arguments: (0, 0, 0, 0, 0), capability: sysAdmin),
            Probe(
                name: "pivot_root", number: __NR_pivot_root, arguments: (0, 0, 0, 0, 0),
                capability: sysAdmin),
            Probe(name: "umount2", number: __NR_umount2, arguments: (0, -1, 0, 0, 0)),
            Probe(name: "unshare", number: __NR_unshare, arguments: (-1, 0, 0, 0, 0)),
            Probe(name: "waitid", number: __NR_waitid, arguments: (-1, 0, 0, -1, 0)),
            Probe(name: "mknodat", number: __NR_mknodat, arguments: (-1, 0, 0, 0, 0)),
            Probe(name: "prctl", number: __NR_prctl, arguments: (-1, 0, 0, 0, 0)),
            Probe(name: "capset", number: __NR_capset, arguments: (0, 0, 0, 0, 0)),
            Probe(name: "setuid", number: __NR_setuid, arguments: (-1, 0, 0, 0, 0)),
            Probe(name: "setgid", number: __NR_setgid, arguments: (-1, 0, 0, 0, 0)),
            Probe(
                name: "setgroups", number: __NR_setgroups, arguments: (-1, 0, 0, 0, 0),
                capability: setgid),
            Probe(
                name: "sethostname", number: __NR_sethostname, arguments: (0, -1, 0, 0, 0),
                capability: sysAdmin),
            Probe(
                name: "setdomainname", number: __NR_setdomainname, arguments: (0, -1, 0, 0, 0),
                capability: sysAdmin),
        ]
    }
}
#endif
