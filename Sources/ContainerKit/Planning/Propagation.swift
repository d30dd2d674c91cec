// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import RuntimeSpec

/// The kernel's values of a propagation type.
///
/// The same eight words are used by `mounts[].options` and by `linux.rootfsPropagation`.
/// Kernel: mount_namespaces(7), mount_setattr(2).
extension Linux.Propagation {
    /// Whether the mounts below change too: AT_RECURSIVE, or MS_REC for mount(2).
    var isRecursive: Bool {
        switch self {
        case .private, .shared, .slave, .unbindable: false
        case .recursivelyPrivate, .recursivelyShared, .recursivelySlave, .recursivelyUnbindable:
            true
        }
    }

    /// The value of `mount_attr.propagation`, and the flag of mount(2) without MS_REC.
    var kernelValue: MountFlags {
        switch self {
        case .private, .recursivelyPrivate: .private
        case .shared, .recursivelyShared: .shared
        case .slave, .recursivelySlave: .slave
        case .unbindable, .recursivelyUnbindable: .unbindable
        }
    }
}
#endif
