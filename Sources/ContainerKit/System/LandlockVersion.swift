// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary

/// The version of the kernel's interface of Landlock; 0 if the kernel has none, has it switched
/// off, or a filter refuses the call.
///
/// Kernel: landlock_create_ruleset(2), Linux 5.13.
func landlockVersion() -> Int {
    let version = raw_system_call(
        Int(__NR_landlock_create_ruleset), 0, 0, LandlockQuestion.version.rawValue, 0, 0, 0)
    return max(version, 0)
}
#endif
