// SPDX-License-Identifier: Apache-2.0

/// The rules of namespaces.
let namespaceRules: [Rule<Spec>] = [
    checkNamespacesAreUnique, checkNamespacePaths, checkUserNamespace, checkTimeOffsets,
]

/// No namespace type is listed twice.
///
/// Spec: config-linux.md, Namespaces.
func checkNamespacesAreUnique(_ spec: Spec, _ found: inout [SpecError]) {
    let namespaces = spec.linux?.namespaces ?? []
    for (index, namespace) in namespaces.enumerated()
    where namespaces[..<index].contains(where: { $0.kind == namespace.kind }) {
        found.append(
            SpecError(
                "linux.namespaces[\(index)].type", "\(namespace.kind.rawValue) is listed twice",
                section: "config-linux.md, Namespaces"))
    }
}

/// The path of a namespace file is absolute.
///
/// Spec: config-linux.md, Namespaces.
func checkNamespacePaths(_ spec: Spec, _ found: inout [SpecError]) {
    for (index, namespace) in (spec.linux?.namespaces ?? []).enumerated() {
        guard let path = namespace.path, !path.isEmpty, !path.isAbsolutePath else { continue }
        found.append(
            SpecError(
                "linux.namespaces[\(index)].path", "\(quoted(path)) is not an absolute path",
                section: "config-linux.md, Namespaces"))
    }
}

/// A new user namespace has ID mappings, and mappings have a user namespace.
///
/// Spec: config-linux.md, User namespace mappings.
func checkUserNamespace(_ spec: Spec, _ found: inout [SpecError]) {
    guard let linux = spec.linux else { return }
    let namespace = linux.namespace(.user)
    checkMappingsExist(linux.uidMappings, for: namespace, at: "linux.uidMappings", &found)
    checkMappingsExist(linux.gidMappings, for: namespace, at: "linux.gidMappings", &found)
}

private func checkMappingsExist(
    _ mappings: [IDMapping]?, for namespace: Namespace?, at path: JSONPath,
    _ found: inout [SpecError]
) {
    let section = "config-linux.md, User namespace mappings"
    let isEmpty = mappings?.isEmpty ?? true
    let isNew = namespace.map { $0.path?.isEmpty ?? true } ?? false
    if isNew, isEmpty {
        let message = "must not be empty for a new user namespace"
        found.append(SpecError(path, message, section: section))
    }
    if namespace == nil, !isEmpty {
        let message = "needs a user namespace in linux.namespaces"
        found.append(SpecError(path, message, section: section))
    }
}

/// Offsets need a new time namespace and exist for two clocks only.
///
/// Spec: config-linux.md, Offset for Time Namespace. Kernel: time_namespaces(7).
func checkTimeOffsets(_ spec: Spec, _ found: inout [SpecError]) {
    guard let linux = spec.linux, let offsets = linux.timeOffsets, !offsets.isEmpty else { return }
    let section = "config-linux.md, Offset for Time Namespace"
    let namespace = linux.namespace(.time)
    if namespace == nil || namespace?.path?.isEmpty == false {
        let message = "needs a new time namespace in linux.namespaces"
        found.append(SpecError("linux.timeOffsets", message, section: section))
    }
    for (clock, offset) in offsets.sorted(by: { $0.key < $1.key }) {
        let path = JSONPath("linux.timeOffsets").appending(key: clock)
        if clock != "monotonic", clock != "boottime" {
            let message = "\(quoted(clock)) is not a clock with an offset (monotonic, boottime)"
            found.append(SpecError(path, message, section: section))
        }
        if offset.nanoseconds > 999_999_999 {
            let message = "\(offset.nanoseconds) is out of range (0...999999999)"
            found.append(SpecError(path.appending(key: "nanosecs"), message, section: section))
        }
    }
}
