// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import SystemPackage

/// Why a process, or this one, gets no new namespaces.
func newNamespacesHint(_ kinds: [NamespaceKind], _ errno: Errno) -> String? {
    NamespaceStep.newNamespacesHint(kinds, errno, lacks: kernelLacks)
}

/// Whether this kernel has no namespaces of a kind.
func kernelLacks(_ kind: NamespaceKind) -> Bool {
    do throws(SystemCallError) {
        _ = try status(at: "/proc/self/ns/\(kind.procName)")
        return false
    } catch {
        return error.errno == .noSuchFileOrDirectory
    }
}
