// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// Where a step comes from.
package enum Origin: Equatable, Sendable {
    /// The runtime adds it to every container.
    case runtime
    /// A field of config.json asks for it, given by its JSON path, such as `linux.maskedPaths`.
    case config(String)

    /// The JSON path if a config field asks for the step; else nil.
    package var path: String? {
        if case .config(let path) = self { path } else { nil }
    }
}

extension Origin: ExpressibleByStringInterpolation {
    /// The field of this path.
    package init(stringLiteral path: String) {
        self = .config(path)
    }
}

extension Origin: CustomStringConvertible {
    /// The path, or `swrunc`: what `explain` prints.
    package var description: String { path ?? "swrunc" }
}
#endif
