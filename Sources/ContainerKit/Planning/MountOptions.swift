// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// The options of one entry of `mounts`, sorted by the call that applies them.
///
/// Spec: config.md, Mounts, and its table of Linux mount options. As with mount(8), the later of
/// two contradictory options wins. A word that is in none of the tables is an option of the file
/// system.
struct MountOptions: Equatable, Sendable {
    /// Attributes of the mount itself.
    var attributes = MountAttributeChange()
    /// Attributes of the mount and of all mounts below it: rro, rnosuid and so on.
    var recursiveAttributes = MountAttributeChange()
    /// Propagation types in the order of the options; each becomes its own step.
    var propagation: [Linux.Propagation] = []
    /// Flags of the file system; they have no effect on a bind mount.
    var superblockFlags: MountFlags = .empty
    /// Options for the file system, in order: "mode=755", "newinstance".
    var filesystemOptions: [String] = []
    /// Whether an existing tree is mounted: bind, rbind, or the type "bind".
    var isBind = false
    /// Whether the mounts below the source are bound too: rbind.
    var isRecursiveBind = false
    /// Whether an existing mount is changed: remount.
    var isRemount = false
    /// Whether the image's files at the mount point are copied into the new tmpfs: tmpcopyup.
    var copiesUp = false
    /// Whether a source that is a link is made as the same link in the container: copy-symlink.
    var copiesLink = false
    /// Whether a link at the end of the source is itself bound: src-nofollow.
    var keepsSourceLink = false
    /// Whether a link at the end of the destination is mounted over: dest-nofollow.
    var coversLink = false
    /// Whether IDs are mapped, and how far (idmap, ridmap); nil without either word.
    ///
    /// `mounts[].uidMappings` has the same effect as idmap.
    var idMapping: MountIDMappingScope?
    /// The maps in the word itself, as in crun: `idmap=uids=0-1-10;gids=0-1-10`.
    var idMapText: String?
    /// Whether any option sets or clears an attribute or a file system flag.
    ///
    /// A bind mount keeps the attributes of its source if and only if there is no such option.
    var namesAnyAttribute = false

    /// Parses the options of a mount of `type`.
    ///
    /// No option is refused here: only the kernel knows whether a file system has an option.
    init(_ options: [String], type: String? = nil) {
        for option in options {
            apply(option)
        }
        // With bind or rbind, the spec allows any `type`; the type "bind" alone has the same
        // meaning.
        if type == "bind" { isBind = true }
    }

    /// The attributes that a bind mount changes: those named by options are set, all others are
    /// cleared.
    ///
    /// A remount of the bind mount by mount(2) does the same, and so do runc and mount(8). Access
    /// times stay as in the source unless an option chooses a mode. `atime`, `diratime` and the
    /// like only withdraw an earlier choice; `ratime` and the like do choose. Empty if no option
    /// names an attribute: the mount then keeps the source's attributes.
    var bindAttributes: MountAttributeChange {
        guard namesAnyAttribute else { return MountAttributeChange() }
        var change = attributes
        let plain: MountAttributes =
            .readOnly | .noSetUserID | .noDevices | .noExecution | .noSymlinkFollowing
        change.toClear |= plain.subtracting(attributes.toSet)
        let skipsDirectories = attributes.toSet.contains(.noDirectoryAccessTime)
        if attributes.accessTimeMode == nil, skipsDirectories {
            change.choose(accessTimeMode: .relativeAccessTime)
        }
        if attributes.accessTimeMode == nil || skipsDirectories {
            change.toClear = change.toClear.subtracting(.noDirectoryAccessTime)
        } else {
            change.toClear |= .noDirectoryAccessTime
        }
        return change
    }

    /// The attributes that a bind mount changes in a user namespace, where those of the host's
    /// mounts are locked and cannot be cleared.
    ///
    /// Kernel: mount_namespaces(7), Restrictions on mount namespaces.
    ///
    /// - Parameter locked: the attributes of the source's mount.
    /// - Returns: the change, and the options that have no effect.
    func bindAttributes(keeping locked: MountAttributes)
        -> (change: MountAttributeChange, withoutEffect: [String])
    {
        let lockable: [(MountAttributes, word: String)] = [
            (.readOnly, "rw"), (.noSetUserID, "suid"), (.noDevices, "dev"), (.noExecution, "exec"),
        ]
        var withoutEffect: [String] = []
        var change = bindAttributes
        for (attribute, word) in lockable where locked.contains(attribute) {
            if attributes.toClear.contains(attribute) { withoutEffect.append("\"\(word)\"") }
            change.toClear = change.toClear.subtracting(attribute)
        }
        if locked.contains(.noDirectoryAccessTime),
            !attributes.toClear.contains(.noDirectoryAccessTime)
        {
            change.toClear = change.toClear.subtracting(.noDirectoryAccessTime)
        }
        let times: MountAttributes = .accessTimeMode | .noDirectoryAccessTime
        let result = locked.subtracting(change.toClear).union(change.toSet)
        if result.intersection(times) != locked.intersection(times) {
            withoutEffect.append("what they say of access times")
        }
        change.toSet = change.toSet.subtracting(times)
        change.toClear = change.toClear.subtracting(times)
        return (change, withoutEffect)
    }

    private mutating func apply(_ option: String) {
        if let meaning = MountOptionWords.meaning(of: option) {
            apply(meaning)
        } else if option.begins(with: "idmap=") || option.begins(with: "ridmap=") {
            idMapping = option.begins(with: "r") ? .tree : .mount
            idMapText = String(option.drop { $0 != "=" }.dropFirst())
        } else if let change = Linux.Propagation(rawValue: option) {
            propagation.append(change)
        } else {
            filesystemOptions.append(option)
        }
    }

    private mutating func apply(_ meaning: MountOptionMeaning) {
        switch meaning {
        case .nothing: break
        case .bind: isBind = true
        case .recursiveBind: (isBind, isRecursiveBind) = (true, true)
        case .remount: isRemount = true
        case .copyUp: copiesUp = true
        case .copyLink: copiesLink = true
        case .keepSourceLink: keepsSourceLink = true
        case .coverLink: coversLink = true
        case .idMapping(let scope): idMapping = scope
        case .plain(let change):
            namesAnyAttribute = true
            if case .rejectAccessTime(let mode) = change {
                attributes.withdraw(accessTimeMode: mode)
            } else {
                attributes.apply(change)
            }
        case .recursive(let change):
            recursiveAttributes.apply(change)
        case .superblock(let flags, let isSet):
            namesAnyAttribute = true
            if isSet {
                superblockFlags |= flags
            } else {
                superblockFlags = superblockFlags.subtracting(flags)
            }
        case .readOnly(let isSet):
            // Like MS_RDONLY of mount(2), the word makes both the mount and the file system
            // read-only.
            namesAnyAttribute = true
            if isSet {
                attributes.set(.readOnly)
                superblockFlags |= .readOnly
            } else {
                attributes.clear(.readOnly)
                superblockFlags = superblockFlags.subtracting(.readOnly)
            }
        }
    }
}

/// The extent of an ID mapping: idmap or ridmap.
enum MountIDMappingScope: Hashable, Sendable {
    case mount
    case tree
}

extension MountAttributeChange {
    fileprivate mutating func apply(_ change: MountOptionMeaning.AttributeWord) {
        switch change {
        case .set(let attributes): set(attributes)
        case .clear(let attributes): clear(attributes)
        case .chooseAccessTime(let mode): choose(accessTimeMode: mode)
        case .rejectAccessTime(let mode): end(accessTimeMode: mode)
        }
    }
}

// MARK: - Options for the file system

/// One parameter of a file system for fsconfig(2): a key, and a value unless it is a flag.
struct FilesystemParameter: Hashable, Sendable {
    var key: String
    var value: String?
}

extension MountOptions {
    /// The options for the file system, split as the kernel splits the data of mount(2).
    ///
    /// A comma separates parameters, except between double quotes (SELinux contexts:
    /// `context="u:r:t:s0:c1,c2"`; the quotes are dropped) and, for overlay, after a backslash
    /// (which stays, because overlay removes it itself). Empty parameters are skipped.
    func filesystemParameters(type: String) -> [FilesystemParameter] {
        let escapes = type == "overlay"
        return filesystemOptions.flatMap { option in
            Self.cut(option, escapesCommas: escapes).map { piece in
                guard let equals = piece.utf8.firstIndex(of: UInt8(ascii: "=")) else {
                    return FilesystemParameter(key: piece, value: nil)
                }
                let value = piece[piece.utf8.index(after: equals)...]
                return FilesystemParameter(key: String(piece[..<equals]), value: String(value))
            }
        }
    }

    private static func cut(_ option: String, escapesCommas: Bool) -> [String] {
        var pieces: [String] = []
        var piece: [UInt8] = []
        var isQuoted = false
        var isEscaped = false
        for byte in option.utf8 {
            if byte == UInt8(ascii: "\""), !isEscaped {
                isQuoted.toggle()
                continue
            }
            if byte == UInt8(ascii: ","), !isQuoted, !isEscaped {
                pieces.append(String(decoding: piece, as: UTF8.self))
                piece = []
                continue
            }
            isEscaped = escapesCommas && byte == UInt8(ascii: "\\") && !isEscaped
            piece.append(byte)
        }
        pieces.append(String(decoding: piece, as: UTF8.self))
        return pieces.filter { !$0.isEmpty }
    }
}
#endif
