// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// Masked and read-only paths without duplicates: each path costs a mount for the container's
/// lifetime.
struct MaskedPaths {
    /// The paths to mask.
    let masked: [String]
    /// The paths that become read-only mounts of their own.
    let readOnly: [String]
    /// Whether the root directory is to be read-only; it is a mount already.
    let protectsRoot: Bool

    init(_ linux: Linux) throws(SpecError) {
        for (index, path) in (linux.maskedPaths ?? []).enumerated()
        where !path.isEmpty && path.isRoot {
            throw SpecError(
                "linux.maskedPaths[\(index)]",
                "\"\(path)\" is the container's root, which cannot be masked")
        }
        masked = Self.distinct(linux.maskedPaths ?? [])
        let paths = Self.distinct(linux.readonlyPaths ?? [])
        readOnly = paths.filter { !$0.isRoot }
        protectsRoot = readOnly.count < paths.count
    }

    /// The paths without duplicates, and without the empty strings that some engines put into the
    /// list.
    ///
    /// Empty components, `.` and a trailing slash are removed, since a path of a file with a
    /// trailing slash cannot be resolved. `..` stays, since after a link it leads elsewhere than
    /// its text suggests.
    private static func distinct(_ paths: [String]) -> [String] {
        var places = HashedPlaces()
        var kept: [String] = []
        for path in paths where !path.isEmpty {
            let spelled =
                path.isPlainPath
                ? path
                : path.parts(between: "/").filter { !$0.utf8.elementsEqual(".".utf8) }.pathBelow
            let hash = HashedPlaces.hash(Array(spelled.utf8)[...])
            let known = places.place(hash) { kept[$0].utf8.elementsEqual(spelled.utf8) }
            guard known == nil else { continue }
            places.append(hash)
            kept.append(spelled)
        }
        return kept
    }
}

extension String {
    fileprivate var isRoot: Bool { !isPlainPath && rootedComponents.isEmpty }
}
#endif
