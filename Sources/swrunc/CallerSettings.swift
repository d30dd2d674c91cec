// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// Signals and limits that this process inherits from its caller and must change for itself.
///
/// The container's process always starts with the default actions of all signals.
enum CallerSettings {
    /// Sets the signal actions that the runtime relies on.
    ///
    /// If SIGCHLD were ignored, the kernel would drop the exit statuses of children. A write beyond
    /// RLIMIT_FSIZE must fail with an error instead of ending this process.
    static func takeSignals() {
        _ = signal(SIGCHLD, SIG_DFL)
        _ = signal(SIGXFSZ, SIG_IGN)
    }

    /// Raises the limits that would prevent the runtime from doing its work.
    ///
    /// - Returns: The former values of the raised limits: the container gets them, unless its
    ///   config sets them.
    static func raiseLimits() -> [Rlimit] {
        var former: [Rlimit] = []
        if let size = raise(Rlimit(type: "RLIMIT_FSIZE", hard: .max, soft: .max)) {
            former.append(size)
        }
        if let stack = raise(Rlimit(type: stack, hard: stackBytes, soft: stackBytes)) {
            former.append(stack)
        }
        return former
    }

    /// The error if the stack limit is too low for a command, which would otherwise end with
    /// SIGSEGV.
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

    /// Enough stack for any config.
    ///
    /// The kernel checks the limit whenever the stack grows, so a raised limit takes effect at
    /// once.
    private static let stackBytes: UInt64 = 1 << 20

    /// The least stack needed: a release build needs 72 KiB.
    ///
    /// The Swift runtime needs most of it, to demangle names of generic types beneath the decoder's
    /// frames.
    private static let leastStackBytes: UInt64 = 128 << 10

    /// Raises the soft limit; only up to the caller's hard limit if the hard limit cannot be
    /// raised.
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
