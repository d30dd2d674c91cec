// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary

extension MountAttributes {
    /// The same as flags of mount(2).
    var mountFlags: MountFlags {
        let flags: [(attribute: MountAttributes, flag: MountFlags)] = [
            (.readOnly, .readOnly), (.noSetUserID, .noSetUserID), (.noDevices, .noDevices),
            (.noExecution, .noExecution), (.noAccessTime, .noAccessTime),
            (.strictAccessTime, .strictAccessTime),
            (.noDirectoryAccessTime, .noDirectoryAccessTime),
            (.noSymlinkFollowing, .noSymlinkFollowing),
        ]
        return flags.reduce(into: .empty) { if contains($1.attribute) { $0 |= $1.flag } }
    }
}

/// A change of mount attributes: what mount_setattr(2) calls attr_set and attr_clr.
struct MountAttributeChange: Hashable, Sendable {
    var toSet: MountAttributes = .empty
    var toClear: MountAttributes = .empty

    var isEmpty: Bool { toSet.isEmpty && toClear.isEmpty }

    /// Records that `attributes` were named; what was said of them before no longer counts.
    mutating func set(_ attributes: MountAttributes) {
        toSet |= attributes
        toClear = toClear.subtracting(attributes)
    }

    /// Records that `attributes` were named as unwanted.
    mutating func clear(_ attributes: MountAttributes) {
        toClear |= attributes
        toSet = toSet.subtracting(attributes)
    }

    /// The access time mode that was chosen, if one was.
    var accessTimeMode: MountAttributes? {
        toClear.contains(.accessTimeMode) ? toSet.intersection(.accessTimeMode) : nil
    }

    /// Chooses an access time mode: the kernel wants the whole group cleared with it.
    mutating func choose(accessTimeMode mode: MountAttributes) {
        toSet = toSet.subtracting(.accessTimeMode)
        toSet |= mode
        toClear |= .accessTimeMode
    }

    /// Takes a choice of an access time mode back; another mode that was chosen before stays.
    mutating func withdraw(accessTimeMode mode: MountAttributes) {
        guard accessTimeMode == mode else { return }
        toSet = toSet.subtracting(.accessTimeMode)
        toClear = toClear.subtracting(.accessTimeMode)
    }

    /// Ends an access time mode, which leaves the kernel's default in its place.
    ///
    /// Another mode that was chosen before stays. "Not relatime" on its own chooses nothing:
    /// relatime is what the kernel falls back to.
    mutating func end(accessTimeMode mode: MountAttributes) {
        if mode == .relativeAccessTime {
            withdraw(accessTimeMode: mode)
        } else if accessTimeMode == nil || accessTimeMode == mode {
            choose(accessTimeMode: .relativeAccessTime)
        }
    }
}

extension MountFlags {
    /// The flags of a whole file system that fsconfig(2) knows by name (FSCONFIG_SET_FLAG), whatever
    /// its type.
    ///
    /// `silent` and `inodeVersion` have no such name: only mount(2) takes them.
    var fsconfigNames: [String] {
        Self.fsconfigNames.filter { contains($0.flag) }.map(\.name)
    }

    private static let fsconfigNames: [(flag: MountFlags, name: String)] = [
        (.readOnly, "ro"), (.synchronous, "sync"), (.synchronousDirectories, "dirsync"),
        (.lazyTime, "lazytime"), (.mandatoryLocks, "mand"),
    ]
}
