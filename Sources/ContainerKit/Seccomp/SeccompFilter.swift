// SPDX-License-Identifier: Apache-2.0

// From `linux.seccomp` to a program that the child loads with one call.
//
//   SeccompFilter          the outcome: a BPF program and the flags of seccomp(2)
//   SeccompFilter+Compile  the rules of the profile, for one architecture after the other
//   SeccompFilter+Base64   a program that an annotation brings
//   SeccompCache           compiled filters of earlier launches
//   LibseccompFilter       libseccomp's calls, typed; the only file that makes them
//   SeccompListener        who is notified, and how it gets the descriptor
//   ArchitectureDispatch   one program out of one for each architecture; ENOSYS for newer calls
//   FilterInstruction      classic BPF: an instruction and its eight bytes
//   SeccompSupport         what this kernel and this libseccomp can do (features, --version)
//   SeccompError           what of a profile could not be compiled, with the config field

internal import KernelVocabulary

/// A compiled filter of system calls, ready to be loaded.
///
/// Kernel: seccomp(2), SECCOMP_SET_MODE_FILTER.
struct SeccompFilter: Equatable, Sendable {
    /// The array of `struct sock_filter`, eight bytes an instruction, in the order of this machine.
    var program: [UInt8]
    /// The flags for seccomp(2).
    var flags: SeccompFilterFlags
    /// Names of the profile that libseccomp does not know on any architecture, in order.
    ///
    /// Not an error: profiles are written for kernels newer than any one library.
    var unknownSystemCalls: [String]

    /// How many instructions the program has: `sock_fprog.len`.
    var instructionCount: Int { program.count / FilterInstruction.sizeBytes }
}
