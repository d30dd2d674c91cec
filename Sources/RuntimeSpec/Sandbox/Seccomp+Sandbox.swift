// SPDX-License-Identifier: Apache-2.0

extension Seccomp {
    /// System calls that belong together, and why a program in a sandbox may make them.
    public struct CallTheme: Hashable, Sendable {
        /// What the calls are for, in a word or two.
        public let name: String
        /// Why they are allowed.
        public let reason: String
        /// What makes them allowed.
        public let rules: [SeccompRule]

        /// A theme with rules of the caller's.
        public init(_ name: String, because reason: String, rules: [SeccompRule]) {
            self.name = name
            self.reason = reason
            self.rules = rules
        }

        /// A theme whose calls are allowed with all arguments.
        public init(_ name: String, because reason: String, calls: String) {
            let names = calls.split { $0 == " " || $0 == "\n" }.map(String.init)
            self.init(name, because: reason, rules: [SeccompRule(names: names, action: .allow)])
        }
    }

    /// The profile of a sandbox: what the themes allow, and EPERM for all else.
    ///
    /// For programs of the machine's own architecture: a call of another one, such as of 32-bit programs,
    /// kills. Calls that are newer than the table get ENOSYS, so that a C library takes older ones. What
    /// needs a capability beyond those of `Spec.sandbox`, needs a theme for its calls, too.
    ///
    /// Refused in the end are: mounts, namespaces, the kernel's keys, which know no namespace, modules and
    /// other kernels, clocks of the host, BPF, performance counters, io_uring, userfaultfd, files by handle,
    /// and the addresses of sockets that no common program needs.
    ///
    /// - Parameter themes: what is allowed; those of `sandboxThemes` with others, or without some.
    /// - Returns: the profile, which may be changed as any other.
    public static func sandbox(_ themes: [CallTheme] = sandboxThemes) -> Seccomp {
        Seccomp(defaultAction: .errno, syscalls: themes.flatMap(\.rules))
    }
}

// MARK: - Conditions

extension SeccompRule {
    /// Allows a call where an argument, of 32 bits, is one of the values.
    static func allowing(
        _ name: String, argument: UInt, in values: [UInt32]
    ) -> [SeccompRule] {
        values.map { value in
            allowing(name, argument, bits: .max, equal: value)
        }
    }

    /// Allows a call where none of the bits is set in an argument.
    static func allowing(_ name: String, argument: UInt, without bits: UInt32) -> SeccompRule {
        allowing(name, argument, bits: bits, equal: 0)
    }

    /// Allows a call where an argument, of 32 bits, is none of the values.
    ///
    /// "Not equal" would compare all 64 bits, of which the kernel looks at half: a value with a higher bit
    /// would pass. "Equal in some bits" says it, too, by the bits in which a number is unlike the values:
    /// the lowest bits of it are those of no value, and one bit less of them are those of some.
    static func allowing(
        _ name: String, argument: UInt, notIn values: [UInt32]
    ) -> [SeccompRule] {
        var rules: [SeccompRule] = []
        // Each is a number's lowest bits, and the values that share them.
        var shared: [(bits: UInt32, values: [UInt32])] = [(0, values)]
        for position in 0..<UInt32(UInt32.bitWidth) {
            let bit = UInt32(1) << position
            let mask = bit | (bit - 1)
            var next: [(bits: UInt32, values: [UInt32])] = []
            for (bits, values) in shared {
                for bits in [bits, bits | bit] {
                    let alike = values.filter { $0 & mask == bits }
                    if alike.isEmpty {
                        rules.append(allowing(name, argument, bits: mask, equal: bits))
                    } else {
                        next.append((bits, alike))
                    }
                }
            }
            shared = next
        }
        return rules
    }

    private static func allowing(
        _ name: String, _ argument: UInt, bits: UInt32, equal value: UInt32
    ) -> SeccompRule {
        SeccompRule(
            names: [name], action: .allow,
            args: [
                SeccompArgument(
                    index: argument, value: UInt64(bits), valueTwo: UInt64(value),
                    op: .maskedEqual)
            ])
    }
}
