// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary

// Words shared by the sentences of child and parent steps.

extension ChildEvent {
    package var words: String {
        switch self {
        case .ready: "all is prepared"
        case .mounted: "the mounts are made"
        case .mountPointMissing: "a mount point is behind a link to nothing"
        case .listening: "the seccomp filter notifies"
        }
    }
}

extension [MountChange] {
    /// What changes at a mount, behind a sentence about it; empty if nothing does.
    package var sentencePart: String {
        let words = map(\.words).filter { !$0.isEmpty }
        return words.isEmpty ? "" : ": " + words.joined(separator: "; ")
    }
}

extension MountChange {
    fileprivate var words: String {
        var parts: [String] = []
        if !set.isEmpty { parts.append("set \(set)") }
        if !clear.isEmpty { parts.append("clear \(clear)") }
        if !propagation.isEmpty { parts.append("make it \(propagation)") }
        if recursive, !parts.isEmpty { parts.append("recursively") }
        return parts.joined(separator: ", ")
    }
}

extension FilesystemMount {
    /// Options, attributes and changes, behind a sentence about the mount.
    package var sentencePart: String {
        (options.isEmpty ? "" : " (\(options.joined(separator: ",")))")
            + (mountFlags.map { $0.isEmpty ? "" : ", \($0)" } ?? "")
            + (mountFlags != nil || attributes.isEmpty ? "" : ", \(attributes)")
            + changes.sentencePart
    }
}

extension [Int] {
    /// The numbers of standard streams in words.
    var streamWords: String {
        (count == 1 ? "standard stream " : "standard streams ")
            + map(\.decimalText).joined(separator: ", ")
    }
}

extension NamespaceSet {
    /// The kinds in words.
    var list: String {
        isEmpty ? "none" : kinds.map(\.rawValue).joined(separator: ", ")
    }
}
#endif
