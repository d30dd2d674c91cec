// SPDX-License-Identifier: Apache-2.0

// Seccomp: compiles `linux.seccomp` to a program that the child loads with one call.
//
//   SeccompFilter          the result: a BPF program and the flags of seccomp(2)
//   SeccompFilter+Compile  compiles the rules, one architecture after the other
//   SeccompFilter+Base64   a program given by an annotation
//   SeccompCache           stores compiled filters for later launches
//   LibseccompFilter       typed calls of libseccomp; the only file that makes them
//   SeccompListener        the listener of notifications, and how it gets the descriptor
//   ArchitectureDispatch   combines one program per architecture; ENOSYS for newer calls
//   FilterInstruction      classic BPF: an instruction and its eight bytes
//   SeccompSupport         the features of this kernel and libseccomp (features, --version)
//   SeccompError           the error of a profile that cannot be compiled, with the config field

#if os(Linux)
internal import KernelVocabulary

/// A compiled seccomp filter, ready to be loaded.
///
/// Kernel: seccomp(2), SECCOMP_SET_MODE_FILTER.
struct SeccompFilter: Equatable, Sendable {
    /// The array of `struct sock_filter`, eight bytes per instruction, in this machine's byte
    /// order.
    var program: [UInt8]
    /// The flags for seccomp(2).
    var flags: SeccompFilterFlags
    /// Names in the profile that libseccomp does not know for any architecture, in order.
    ///
    /// They are no error: profiles are written for kernels newer than any one library.
    var unknownSystemCalls: [String]

    /// The number of instructions in the program: `sock_fprog.len`.
    var instructionCount: Int { program.count / FilterInstruction.sizeBytes }
}
#endif
