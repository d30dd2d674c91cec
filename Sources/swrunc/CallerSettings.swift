// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Glibc
internal import SystemPackage

/// What this process has inherited from its caller and takes otherwise for itself.
///
/// The container's process starts with the default actions of all signals in any case.
enum CallerSettings {
    /// Ignored, SIGCHLD would make the kernel forget how children ended; and a write above
    /// RLIMIT_FSIZE is to be an error, not the end.
    static func takeSignals() {
        _ = signal(SIGCHLD, SIG_DFL)
        _ = signal(SIGXFSZ, SIG_IGN)
    }

    /// Raises the limits under which the runtime could not do its own work.
    ///
    /// - Returns: Those that were raised, as the caller had them: they are the container's, unless its
    ///   config says otherwise.
    static func raiseLimits() -> [Rlimit] {
        [
            Rlimit(type: "RLIMIT_FSIZE", hard: .max, soft: .max),
            Rlimit(type: stack, hard: stackBytes, soft: stackBytes),
        ].compactMap(raise)
    }

    /// The error where the stack may not grow as far as a command needs: beyond that it would end by SIGSEGV.
    static func stackShortage() -> ContainerError? {
        var found = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_STACK.rawValue)
        guard getrlimit(resource, &found) == 0, found.rlim_cur < leastStackBytes else {
            return nil
        }
        return ContainerError(
            .systemCall,
            "the stack is limited to \(found.rlim_cur) bytes, \(leastStackBytes) are needed",
            failure: SystemCallError(
                "setrlimit", "\(stack), \(stackBytes)", errno: .notPermitted),
            hint: "raise the hard limit, \(stack) (ulimit -H -s)")
    }

    private static let stack = "RLIMIT_STACK"

    /// What is enough for all that a config may hold.
    ///
    /// The kernel looks at the limit whenever the stack grows, so that a higher one counts at once.
    private static let stackBytes: UInt64 = 1 << 20

    /// More than the 72 KiB that a release build needs.
    ///
    /// Most is taken by the Swift runtime, which takes names of generic types apart below the decoder's frames.
    private static let leastStackBytes: UInt64 = 128 << 10

    /// As far as the caller's hard limit allows it, where the right to raise that is missing.
    private static func raise(_ wanted: Rlimit) -> Rlimit? {
        guard let number = wanted.resourceNumber else { return nil }
        let resource = __rlimit_resource_t(UInt32(number))
        var former = rlimit()
        guard getrlimit(resource, &former) == 0, former.rlim_cur < wanted.soft else { return nil }
        let caller = Rlimit(
            type: wanted.type, hard: UInt64(former.rlim_max), soft: UInt64(former.rlim_cur))
        for hard in [wanted.hard, caller.hard] {
            var raised = rlimit(
                rlim_cur: rlim_t(min(wanted.soft, hard)), rlim_max: rlim_t(max(hard, caller.hard)))
            if setrlimit(resource, &raised) == 0 { return caller }
        }
        return nil
    }
}
