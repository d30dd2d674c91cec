// SPDX-License-Identifier: Apache-2.0

/// The filter of system calls.
///
/// Spec: config-linux.md, Seccomp. Kernel: seccomp(2).
public struct Seccomp: Hashable, Sendable {
    /// What happens to a call without a rule.
    public var defaultAction: Action
    /// The error of the default action, if it is `errno` or `trace`; nil is `EPERM`.
    public var defaultErrnoRet: UInt?
    /// The architectures that the filter covers in addition to the native one.
    public var architectures: [Architecture]?
    /// The flags of the filter; nil leaves the choice to the runtime, empty means none.
    public var flags: [Flag]?
    /// The socket that gets the notify descriptor.
    public var listenerPath: String?
    /// The text sent to the socket together with the descriptor, unchanged.
    public var listenerMetadata: String?
    /// The rules; the first that matches a call decides.
    public var syscalls: [SeccompRule]?

    /// A value of the given fields.
    public init(
        defaultAction: Action, defaultErrnoRet: UInt? = nil, architectures: [Architecture]? = nil,
        flags: [Flag]? = nil, listenerPath: String? = nil, listenerMetadata: String? = nil,
        syscalls: [SeccompRule]? = nil
    ) {
        self.defaultAction = defaultAction
        self.defaultErrnoRet = defaultErrnoRet
        self.architectures = architectures
        self.flags = flags
        self.listenerPath = listenerPath
        self.listenerMetadata = listenerMetadata
        self.syscalls = syscalls
    }
}

extension Seccomp: SpecObject {
    static var blank: Seccomp { Seccomp(defaultAction: .allow) }
    static var section: String { "config-linux.md, Seccomp" }

    /// Whether there is neither a default action nor a rule: other encoders write this for no
    /// filter.
    private static func isBlank(_ object: JSONObject) -> Bool {
        let action = object["defaultAction"] ?? .null
        let rules = object["syscalls"] ?? .null
        return (action == .null || action == .string("")) && (rules == .null || rules == .array([]))
    }

    static func decode(_ value: JSONValue, _ context: inout DecodingContext) -> Seccomp? {
        if case .object(let object) = value, isBlank(object) { return nil }
        return decodeObject(value, &context)
    }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("defaultAction", &defaultAction)
        visitor.optional("defaultErrnoRet", &defaultErrnoRet)
        visitor.optional("architectures", &architectures)
        visitor.optional("flags", &flags)
        visitor.text("listenerPath", &listenerPath)
        visitor.text("listenerMetadata", &listenerMetadata)
        visitor.optional("syscalls", &syscalls)
    }
}

extension Seccomp {
    /// What happens to a system call.
    ///
    /// Kernel: seccomp(2).
    public enum Action: String, CaseIterable, Equatable, Sendable {
        /// The thread is killed; the old name of `killThread`.
        case kill = "SCMP_ACT_KILL"
        /// The process is killed.
        case killProcess = "SCMP_ACT_KILL_PROCESS"
        /// The thread is killed.
        case killThread = "SCMP_ACT_KILL_THREAD"
        /// The thread gets `SIGSYS`.
        case trap = "SCMP_ACT_TRAP"
        /// The call fails.
        case errno = "SCMP_ACT_ERRNO"
        /// A tracer is notified.
        case trace = "SCMP_ACT_TRACE"
        /// The call is permitted.
        case allow = "SCMP_ACT_ALLOW"
        /// The call is permitted and logged.
        case log = "SCMP_ACT_LOG"
        /// The listener decides.
        case notify = "SCMP_ACT_NOTIFY"
    }
}

extension Seccomp.Action: Vocabulary {
    static var noun: String { "a seccomp action" }
}

extension Seccomp {
    /// An architecture of system calls.
    public enum Architecture: String, CaseIterable, Equatable, Sendable {
        /// 32-bit x86.
        case x86 = "SCMP_ARCH_X86"
        /// 64-bit x86.
        case x86_64 = "SCMP_ARCH_X86_64"
        /// 64-bit x86 with 32-bit pointers.
        case x32 = "SCMP_ARCH_X32"
        /// 32-bit ARM.
        case arm = "SCMP_ARCH_ARM"
        /// 64-bit ARM.
        case aarch64 = "SCMP_ARCH_AARCH64"
        /// MIPS, big-endian.
        case mips = "SCMP_ARCH_MIPS"
        /// MIPS64, big-endian.
        case mips64 = "SCMP_ARCH_MIPS64"
        /// MIPS64 with 32-bit pointers, big-endian.
        case mips64n32 = "SCMP_ARCH_MIPS64N32"
        /// MIPS, little-endian.
        case mipsel = "SCMP_ARCH_MIPSEL"
        /// MIPS64, little-endian.
        case mipsel64 = "SCMP_ARCH_MIPSEL64"
        /// MIPS64 with 32-bit pointers, little-endian.
        case mipsel64n32 = "SCMP_ARCH_MIPSEL64N32"
        /// 32-bit PowerPC.
        case ppc = "SCMP_ARCH_PPC"
        /// 64-bit PowerPC, big-endian.
        case ppc64 = "SCMP_ARCH_PPC64"
        /// 64-bit PowerPC, little-endian.
        case ppc64le = "SCMP_ARCH_PPC64LE"
        /// 31-bit S/390.
        case s390 = "SCMP_ARCH_S390"
        /// 64-bit S/390.
        case s390x = "SCMP_ARCH_S390X"
        /// 32-bit PA-RISC.
        case parisc = "SCMP_ARCH_PARISC"
        /// 64-bit PA-RISC.
        case parisc64 = "SCMP_ARCH_PARISC64"
        /// 64-bit RISC-V.
        case riscv64 = "SCMP_ARCH_RISCV64"
        /// 64-bit LoongArch.
        case loongarch64 = "SCMP_ARCH_LOONGARCH64"
        /// Motorola 68000.
        case m68k = "SCMP_ARCH_M68K"
        /// SuperH, little-endian.
        case sh = "SCMP_ARCH_SH"
        /// SuperH, big-endian.
        case sheb = "SCMP_ARCH_SHEB"
    }
}

extension Seccomp.Architecture: Vocabulary {
    static var noun: String { "a seccomp architecture" }
}

extension Seccomp {
    /// A flag for loading the filter.
    ///
    /// Kernel: seccomp(2).
    public enum Flag: String, CaseIterable, Equatable, Sendable {
        /// All threads get the filter.
        case threadSync = "SECCOMP_FILTER_FLAG_TSYNC"
        /// Every action but `allow` is logged.
        ///
        /// Linux 4.14.
        case log = "SECCOMP_FILTER_FLAG_LOG"
        /// Speculative store bypass stays as it is.
        ///
        /// Linux 4.17.
        case speculationAllow = "SECCOMP_FILTER_FLAG_SPEC_ALLOW"
        /// Only fatal signals interrupt a notified call.
        ///
        /// Linux 5.19.
        case waitKillableReceive = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
    }
}

extension Seccomp.Flag: Vocabulary {
    static var noun: String { "a seccomp flag" }
}

/// What happens to some system calls.
///
/// Spec: config-linux.md, Seccomp.
public struct SeccompRule: Hashable, Sendable {
    /// The system calls; one that the architecture lacks matches nothing.
    public var names: [String]
    /// What happens to the calls.
    public var action: Seccomp.Action
    /// The error, if the action is `errno` or `trace`; nil is `EPERM`.
    public var errnoRet: UInt?
    /// The conditions on the arguments for the rule to match.
    public var args: [SeccompArgument]?

    /// A value of the given fields.
    public init(
        names: [String], action: Seccomp.Action, errnoRet: UInt? = nil,
        args: [SeccompArgument]? = nil
    ) {
        self.names = names
        self.action = action
        self.errnoRet = errnoRet
        self.args = args
    }
}

extension SeccompRule: SpecObject {
    static var blank: SeccompRule { SeccompRule(names: [], action: .allow) }
    static var section: String { "config-linux.md, Seccomp" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("names", &names)
        visitor.required("action", &action)
        visitor.optional("errnoRet", &errnoRet)
        visitor.optional("args", &args)
    }
}

/// A condition on an argument of a system call.
///
/// Spec: config-linux.md, Seccomp.
public struct SeccompArgument: Hashable, Sendable {
    /// Which argument, 0 to 5.
    public var index: UInt
    /// The value to compare with, or the mask for `maskedEqual`.
    public var value: UInt64
    /// The value that the masked argument is compared with, for `maskedEqual`.
    public var valueTwo: UInt64
    /// The comparison.
    public var op: Operator

    /// A value of the given fields.
    public init(index: UInt, value: UInt64, valueTwo: UInt64 = 0, op: Operator) {
        self.index = index
        self.value = value
        self.valueTwo = valueTwo
        self.op = op
    }
}

extension SeccompArgument: SpecObject {
    static var blank: SeccompArgument { SeccompArgument(index: 0, value: 0, op: .equal) }
    static var section: String { "config-linux.md, Seccomp" }

    mutating func visitFields(_ visitor: inout some FieldVisitor) {
        visitor.required("index", &index)
        visitor.required("value", &value)
        visitor.defaulted("valueTwo", &valueTwo, absent: 0)
        visitor.required("op", &op)
    }
}

extension SeccompArgument {
    /// A comparison of an argument with a value.
    public enum Operator: String, CaseIterable, Equatable, Sendable {
        /// The argument differs.
        case notEqual = "SCMP_CMP_NE"
        /// The argument is less.
        case less = "SCMP_CMP_LT"
        /// The argument is not greater.
        case lessOrEqual = "SCMP_CMP_LE"
        /// The argument is equal.
        case equal = "SCMP_CMP_EQ"
        /// The argument is not less.
        case greaterOrEqual = "SCMP_CMP_GE"
        /// The argument is greater.
        case greater = "SCMP_CMP_GT"
        /// The argument is equal in the bits of a mask.
        case maskedEqual = "SCMP_CMP_MASKED_EQ"
    }
}

extension SeccompArgument.Operator: Vocabulary {
    static var noun: String { "a seccomp operator" }
}
