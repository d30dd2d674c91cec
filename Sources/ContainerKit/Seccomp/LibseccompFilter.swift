// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

#if CLibraries
internal import CLinux
internal import CSeccomp
internal import SystemPackage

/// A filter that libseccomp is building.
///
/// A refusal by libseccomp is thrown as its errno. A filter may be built on any thread, but on one
/// at a time, which `~Copyable` ensures. Source: seccomp_init(3) and related pages.
struct LibseccompFilter: ~Copyable {
    private let context: scmp_filter_ctx

    /// An empty filter for the native architecture.
    init(defaultAction: UInt32) throws(Errno) {
        guard let context = seccomp_init(defaultAction) else { throw .invalidArgument }
        // libseccomp never loads this filter, and no_new_privs is a separate step.
        seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0)
        // Return the kernel's own errno instead of ECANCELED.
        seccomp_attr_set(context, SCMP_FLTATR_API_SYSRAWRC, 1)
        self.context = context
    }

    deinit {
        seccomp_release(context)
    }

    /// Changes the filter's architecture from the native one to another.
    func move(to architecture: UInt32) throws(Errno) {
        let native = SystemCallNumbers.nativeArchitecture
        guard architecture != native else { return }
        try Self.check(seccomp_arch_remove(context, native))
        try Self.check(seccomp_arch_add(context, architecture))
    }

    /// Adds a rule for a system call, given by its native number, which libseccomp translates.
    ///
    /// If the architecture lacks the call, no rule is added, and it is no error.
    func add(action: UInt32, systemCall: Int32, if conditions: [scmp_arg_cmp]) throws(Errno) {
        try Self.check(
            seccomp_rule_add_array(
                context, action, systemCall, UInt32(conditions.count), conditions))
    }

    /// Arranges the system calls in a binary tree instead of a list.
    func sortAsTree() throws(Errno) {
        try Self.check(seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2))
    }

    /// Writes the finished program to a descriptor.
    func export(to descriptor: CInt) throws(Errno) {
        try Self.check(seccomp_export_bpf(context, descriptor))
    }

    private static func check(_ result: CInt) throws(Errno) {
        guard result >= 0 else { throw Errno(rawValue: -result) }
    }
}

// MARK: - Names and numbers

extension Seccomp.Architecture {
    /// libseccomp's number of the architecture; nil if this libseccomp does not know it.
    ///
    /// Source: seccomp_arch_resolve_name(3), whose names are those of the constants in lower case.
    var libseccompToken: UInt32? {
        let token = seccomp_arch_resolve_name(
            String(rawValue.dropFirst("SCMP_ARCH_".count)).lowercased())
        return token == 0 ? nil : token
    }
}

/// Numbers of system calls.
///
/// Source: seccomp_syscall_resolve_name(3).
enum SystemCallNumbers {
    /// The number on the native architecture; nil if no architecture has this call.
    ///
    /// A call that only other architectures have gets a negative number from libseccomp.
    static func native(_ name: String) -> Int32? {
        let number = seccomp_syscall_resolve_name(name)
        return number == __NR_SCMP_ERROR ? nil : number
    }

    /// The number on one architecture; nil if it lacks the call.
    static func number(_ name: String, on token: UInt32) -> UInt32? {
        UInt32(exactly: seccomp_syscall_resolve_name_arch(token, name))
    }

    /// The architecture that ContainerKit runs on.
    static var nativeArchitecture: UInt32 { seccomp_arch_native() }
}

extension SeccompArgument {
    /// The comparison for libseccomp; for `maskedEqual` the mask comes first there, too.
    var libseccompCondition: scmp_arg_cmp {
        scmp_arg_cmp(
            arg: UInt32(index), op: op.libseccompOperator, datum_a: value, datum_b: valueTwo)
    }
}

extension SeccompArgument.Operator {
    fileprivate var libseccompOperator: scmp_compare {
        switch self {
        case .notEqual: SCMP_CMP_NE
        case .less: SCMP_CMP_LT
        case .lessOrEqual: SCMP_CMP_LE
        case .equal: SCMP_CMP_EQ
        case .greaterOrEqual: SCMP_CMP_GE
        case .greater: SCMP_CMP_GT
        case .maskedEqual: SCMP_CMP_MASKED_EQ
        }
    }
}

/// The version of the linked libseccomp, such as "2.5.4".
///
/// Source: seccomp_version(3).
func libseccompVersion() -> String {
    guard let version = seccomp_version()?.pointee else { return "unknown" }
    return "\(version.major).\(version.minor).\(version.micro)"
}
#else
extension Seccomp.Architecture {
    /// Without libseccomp no profile is compiled for any.
    var libseccompToken: UInt32? { nil }
}

/// What stands where a version would.
func libseccompVersion() -> String { "none" }
#endif
#endif
