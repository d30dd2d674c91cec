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
