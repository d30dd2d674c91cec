// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// The kernel's limits for one ID map.
///
/// The kernel reports a violation only as "invalid argument", and only once the process exists.
/// Kernel: user_namespaces(7); map_write of kernel/user_namespace.c.
struct IDMapLimits {
    /// UID_GID_MAP_MAX_EXTENTS.
    static let rangeCount = 340
    /// The size of a page; the text of a map must be shorter.
    let pageBytes: Int

    /// Checks all maps that the runtime writes in a plan.
    func check(_ steps: [PlannedParentStep]) throws(SpecError) {
        for planned in steps {
            if case .userNamespace(.writeIDMaps(let maps, _)) = planned.step {
                try check(maps.users, "linux.uidMappings")
                try check(maps.groups, "linux.gidMappings")
            }
            if case .mount(let step) = planned.step { try check(step.idMap, planned.origin) }
        }
    }

    private func check(_ map: MountIDMap?, _ field: Origin) throws(SpecError) {
        guard let maps = map?.maps else { return }
        try check(maps.users, "\(field).uidMappings")
        try check(maps.groups, "\(field).gidMappings")
    }

    private func check(_ ranges: [IDRange], _ field: String) throws(SpecError) {
        guard ranges.count <= Self.rangeCount else {
            throw SpecError(
                JSONPath(stringLiteral: field),
                "\(ranges.count) ranges: the kernel takes no more than \(Self.rangeCount)")
        }
        let byteCount = ranges.reduce(0) { $0 + $1.line.utf8.count }
        guard byteCount < pageBytes else {
            throw SpecError(
                JSONPath(stringLiteral: field),
                "\(ranges.count) ranges make a text of \(byteCount) bytes, which is too long: the "
                    + "kernel takes less than a page (\(pageBytes) bytes). Join ranges, or use "
                    + "smaller numbers")
        }
    }
}

extension IDRange {
    /// The range as a line of uid_map or gid_map.
    var line: String { "\(inside) \(outside) \(count)\n" }
}
#endif
