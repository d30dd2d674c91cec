// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import RuntimeSpec

/// The meaning of one word of `mounts[].options`.
enum MountOptionMeaning: Equatable, Sendable {
    /// The effect of a word on a set of mount attributes.
    enum AttributeWord: Equatable, Sendable {
        case set(MountAttributes)
        case clear(MountAttributes)
        case chooseAccessTime(MountAttributes)
        case rejectAccessTime(MountAttributes)
    }

    case nothing
    case bind
    case recursiveBind
    case remount
    case copyUp
    case copyLink
    case keepSourceLink
    case coverLink
    case idMapping(MountIDMappingScope)
    case readOnly(Bool)
    case plain(AttributeWord)
    case recursive(AttributeWord)
    case superblock(MountFlags, isSet: Bool)
}

/// The words of `mounts[].options` that the runtime interprets; all others are for the file system.
///
/// Spec: config.md, Linux mount options.
enum MountOptionWords {
    /// All words that the runtime interprets, sorted: `mountOptions` of the features document.
    ///
    /// idmap and ridmap are left out, since features has `mountExtensions.idmap` for them.
    static var known: [String] {
        var words = others.filter {
            if case .idMapping = $0.meaning { false } else { true }
        }.map(\.word)
        words += attributeWords.flatMap { [$0.word, "r" + $0.word] }
        words += Linux.Propagation.allCases.map(\.rawValue)
        return words.sorted()
    }

    /// The meaning of a word; nil if it is a propagation type or for the file system.
    ///
    /// The tables are short, so a linear search costs less than setting up a dictionary.
    static func meaning(of word: String) -> MountOptionMeaning? {
        if let entry = others.first(where: { $0.word == word }) { return entry.meaning }
        if let entry = attributeWords.first(where: { $0.word == word }) {
            return .plain(entry.meaning)
        }
        guard word.utf8.first == UInt8(ascii: "r") else { return nil }
        let rest = word.dropFirst()
        return attributeWords.first { $0.word == rest }.map { .recursive($0.meaning) }
    }

    /// The words for attributes of one mount; with a leading "r" they apply to a whole tree.
    ///
    /// rro and rrw are among `others`, since ro and rw set more than an attribute.
    private static let attributeWords: [(word: String, meaning: MountOptionMeaning.AttributeWord)] =
        [
            ("atime", .rejectAccessTime(.noAccessTime)),
            ("dev", .clear(.noDevices)),
            ("diratime", .clear(.noDirectoryAccessTime)),
            ("exec", .clear(.noExecution)),
            ("noatime", .chooseAccessTime(.noAccessTime)),
            ("nodev", .set(.noDevices)),
            ("nodiratime", .set(.noDirectoryAccessTime)),
            ("noexec", .set(.noExecution)),
            ("norelatime", .rejectAccessTime(.relativeAccessTime)),
            ("nostrictatime", .rejectAccessTime(.strictAccessTime)),
            ("nosuid", .set(.noSetUserID)),
            ("nosymfollow", .set(.noSymlinkFollowing)),
            ("relatime", .chooseAccessTime(.relativeAccessTime)),
            ("strictatime", .chooseAccessTime(.strictAccessTime)),
            ("suid", .clear(.noSetUserID)),
            ("symfollow", .clear(.noSymlinkFollowing)),
        ]

    private static let others: [(word: String, meaning: MountOptionMeaning)] = [
        ("async", .superblock(.synchronous, isSet: false)),
        ("bind", .bind),
        ("copy-symlink", .copyLink),
        ("defaults", .nothing),
        ("dest-nofollow", .coverLink),
        ("dirsync", .superblock(.synchronousDirectories, isSet: true)),
        ("idmap", .idMapping(.mount)),
        ("iversion", .superblock(.inodeVersion, isSet: true)),
        ("lazytime", .superblock(.lazyTime, isSet: true)),
        ("loud", .superblock(.silent, isSet: false)),
        ("mand", .superblock(.mandatoryLocks, isSet: true)),
        ("noiversion", .superblock(.inodeVersion, isSet: false)),
        ("nolazytime", .superblock(.lazyTime, isSet: false)),
        ("nomand", .superblock(.mandatoryLocks, isSet: false)),
        // crun's words for a whole tree. A new file system is a single mount, and bind mounts
        // ignore these flags.
        ("rasync", .superblock(.synchronous, isSet: false)),
        ("rbind", .recursiveBind),
        ("rdirsync", .superblock(.synchronousDirectories, isSet: true)),
        ("remount", .remount),
        ("ridmap", .idMapping(.tree)),
        ("rmand", .superblock(.mandatoryLocks, isSet: true)),
        ("rnomand", .superblock(.mandatoryLocks, isSet: false)),
        ("ro", .readOnly(true)),
        ("rro", .recursive(.set(.readOnly))),
        ("rrw", .recursive(.clear(.readOnly))),
        ("rsync", .superblock(.synchronous, isSet: true)),
        ("rw", .readOnly(false)),
        ("silent", .superblock(.silent, isSet: true)),
        ("src-nofollow", .keepSourceLink),
        ("sync", .superblock(.synchronous, isSet: true)),
        ("tmpcopyup", .copyUp),
    ]
}
#endif
