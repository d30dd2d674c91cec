// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import CSeccomp
internal import RuntimeSpec
internal import SystemPackage

/// A filter while libseccomp builds it.
///
/// Every call that libseccomp refuses is told by its errno. A filter may be built on any thread,
/// but on one at a time, which `~Copyable` sees to. Source: seccomp_init(3) and its neighbours.
struct LibseccompFilter: ~Copyable {
    private let context: scmp_filter_ctx

    /// An empty filter for the native architecture.
    init(defaultAction: UInt32) throws(Errno) {
        guard let context = seccomp_init(defaultAction) else { throw .invalidArgument }
        // libseccomp never loads this filter, and no_new_privs is a step of its own.
        seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0)
        // The kernel's own errno, not ECANCELED for all of them.
        seccomp_attr_set(context, SCMP_FLTATR_API_SYSRAWRC, 1)
        self.context = context
    }

    deinit {
        seccomp_release(context)
    }

    /// Makes this the filter of another architecture than the native one.
    func move(to architecture: UInt32) throws(Errno) {
        let native = SystemCallNumbers.nativeArchitecture
        guard architecture != native else { return }
        try Self.check(seccomp_arch_remove(context, native))
        try Self.check(seccomp_arch_add(context, architecture))
    }

    /// Adds a rule for a system call, given by its native number, which libseccomp translates.
    ///
    /// A call that the architecture lacks makes no rule, and is not an error.
    func add(action: UInt32, systemCall: Int32, if conditions: [scmp_arg_cmp]) throws(Errno) {
        try Self.check(
            seccomp_rule_add_array(
                context, action, systemCall, UInt32(conditions.count), conditions))
    }

    /// Asks for a binary tree over the system calls instead of a list.
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
    /// The number of the architecture, or nil if this libseccomp does not know it.
    ///
    /// Source: seccomp_arch_resolve_name(3), whose names are those of the constants in small letters.
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
    /// The number on the native architecture, or nil if no architecture has such a call.
    ///
    /// A call that only other architectures have gets a negative number of libseccomp's own.
    static func native(_ name: String) -> Int32? {
        let number = seccomp_syscall_resolve_name(name)
        return number == __NR_SCMP_ERROR ? nil : number
    }

    /// The number on one architecture, or nil if it has no such call.
    static func number(_ name: String, on token: UInt32) -> UInt32? {
        UInt32(exactly: seccomp_syscall_resolve_name_arch(token, name))
    }

    /// The architecture that ContainerKit runs on.
    static var nativeArchitecture: UInt32 { seccomp_arch_native() }

    /// libseccomp's own number for x32, which the kernel knows as x86_64 with bit 30 set.
    static let x32Architecture: UInt32 = 0x4000_003E
}

extension SeccompArgument {
    /// The comparison as libseccomp takes it: for `maskedEqual` the mask comes first there too.
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

/// The version of libseccomp that ContainerKit runs with, as "2.5.4".
///
/// Source: seccomp_version(3).
func libseccompVersion() -> String {
    guard let version = seccomp_version()?.pointee else { return "unknown" }
    return "\(version.major).\(version.minor).\(version.micro)"
}
