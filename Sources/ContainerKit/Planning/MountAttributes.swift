// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary

extension MountAttributes {
    /// The attributes as flags of mount(2).
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

/// A change of mount attributes: attr_set and attr_clr of mount_setattr(2).
struct MountAttributeChange: Hashable, Sendable {
    var toSet: MountAttributes = .empty
    var toClear: MountAttributes = .empty

    var isEmpty: Bool { toSet.isEmpty && toClear.isEmpty }

    /// Sets `attributes`, overriding earlier words about them.
    mutating func set(_ attributes: MountAttributes) {
        toSet |= attributes
        toClear = toClear.subtracting(attributes)
    }

    /// Clears `attributes`, overriding earlier words about them.
    mutating func clear(_ attributes: MountAttributes) {
        toClear |= attributes
        toSet = toSet.subtracting(attributes)
    }

    /// The chosen access time mode; nil if none is chosen.
    var accessTimeMode: MountAttributes? {
        toClear.contains(.accessTimeMode) ? toSet.intersection(.accessTimeMode) : nil
    }

    /// Chooses an access time mode; the kernel requires that the whole group is cleared with it.
    mutating func choose(accessTimeMode mode: MountAttributes) {
        toSet = toSet.subtracting(.accessTimeMode)
        toSet |= mode
        toClear |= .accessTimeMode
    }

    /// Withdraws the choice of an access time mode; if another mode was chosen before, that stays.
    mutating func withdraw(accessTimeMode mode: MountAttributes) {
        guard accessTimeMode == mode else { return }
        toSet = toSet.subtracting(.accessTimeMode)
        toClear = toClear.subtracting(.accessTimeMode)
    }

    /// Ends an access time mode, so that the kernel's default applies.
    ///
    /// If another mode was chosen before, that stays. "Not relatime" alone chooses nothing, since
    /// relatime is the kernel's default.
    mutating func end(accessTimeMode mode: MountAttributes) {
        if mode == .relativeAccessTime {
            withdraw(accessTimeMode: mode)
        } else if accessTimeMode == nil || accessTimeMode == mode {
            choose(accessTimeMode: .relativeAccessTime)
        }
    }
}

extension MountFlags {
    /// The flags of a file system that fsconfig(2) knows by name (FSCONFIG_SET_FLAG), whatever its
    /// type.
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
#endif
