// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// An extended regular expression for container IDs, in the syntax of regcomp(3).
final class IDPattern {
    private var compiled = regex_t()
    private let isCompiled: Bool

    init(_ text: String) throws(ContainerError) {
        let status = regcomp(&compiled, text, REG_EXTENDED | REG_NOSUB)
        isCompiled = status == 0
        guard isCompiled else {
            throw ContainerError(
                .invalidArgument, "invalid regular expression \(text.debugDescription)")
        }
    }

    deinit {
        if isCompiled { regfree(&compiled) }
    }

    /// Whether any part of the ID matches.
    func matches(_ id: String) -> Bool {
        regexec(&compiled, id, 0, nil, 0) == 0
    }
}
