// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import RuntimeSpec

/// Masked and read-only paths, each once: every one costs a mount for the container's life.
struct HiddenPaths {
    /// Paths that are masked.
    let masked: [String]
    /// Paths that become read-only mounts of their own.
    let readOnly: [String]
    /// Whether the root directory is among the read-only ones: it is a mount already.
    let protectsRoot: Bool

    init(_ linux: Linux) throws(SpecError) {
        for (index, path) in (linux.maskedPaths ?? []).enumerated()
        where !path.isEmpty && path.rootedComponents.isEmpty {
            throw SpecError(
                "linux.maskedPaths[\(index)]",
                "\"\(path)\" is the container's root, which cannot be masked")
        }
        masked = Self.distinct(linux.maskedPaths ?? [])
        let paths = Self.distinct(linux.readonlyPaths ?? [])
        readOnly = paths.filter { !$0.rootedComponents.isEmpty }
        protectsRoot = readOnly.count < paths.count
    }

    /// The paths without repetition, and without the empty strings that some engines put into the list.
    ///
    /// They are spelled without empty components and `.`, and without a slash at the end: a file would not be
    /// found by that. `..` stays, since behind a link it leads elsewhere than its spelling says.
    private static func distinct(_ paths: [String]) -> [String] {
        var places = HashedPlaces()
        var kept: [String] = []
        for path in paths where !path.isEmpty {
            let spelled = path.parts(between: "/").filter { !$0.utf8.elementsEqual(".".utf8) }
                .pathBelow
            let hash = HashedPlaces.hash(Array(spelled.utf8)[...])
            let known = places.place(hash) { kept[$0].utf8.elementsEqual(spelled.utf8) }
            guard known == nil else { continue }
            places.append(hash)
            kept.append(spelled)
        }
        return kept
    }
}
