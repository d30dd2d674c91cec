// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import SystemPackage

/// The reason why a process gets no new namespaces.
func newNamespacesHint(_ kinds: [NamespaceKind], _ errno: Errno) -> String? {
    NamespaceStep.newNamespacesHint(kinds, errno, lacks: kernelLacks)
}

/// Whether this kernel lacks a kind of namespace.
func kernelLacks(_ kind: NamespaceKind) -> Bool {
    do throws(SystemCallError) {
        _ = try status(at: "/proc/self/ns/\(kind.procName)")
        return false
    } catch {
        return error.errno == .noSuchFileOrDirectory
    }
}
#endif
