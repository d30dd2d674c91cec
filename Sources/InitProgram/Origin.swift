// SPDX-License-Identifier: Apache-2.0

/// Where a step comes from.
public enum Origin: Equatable, Sendable {
    /// Every container gets it.
    case runtime
    /// A field of config.json asks for it, given by its JSON path, such as `linux.maskedPaths`.
    case config(String)

    /// The JSON path, if a field asks for the step.
    public var path: String? {
        if case .config(let path) = self { path } else { nil }
    }
}

extension Origin: ExpressibleByStringInterpolation {
    /// The field of this path.
    public init(stringLiteral path: String) {
        self = .config(path)
    }
}

extension Origin: CustomStringConvertible {
    /// The path, or `swrunc`: what `explain` prints.
    public var description: String { path ?? "swrunc" }
}
