// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Plans of entering the root")
struct RootEntryTests {
    private func refusal(
        movesRoot: Bool, _ change: @escaping @Sendable (inout Spec) -> Void
    ) throws -> String {
        let example = PlanCase(
            name: "refused", facts: { if movesRoot { $0.kernelTrees = ["/proc"] } },
            change: change)
        do {
            _ = try example.plan()
            return "taken"
        } catch let error as SpecError {
            return "\(error)"
        }
    }

    @Test("--no-pivot is refused without a mount namespace, because it would cover the host's root")
    func movedWithoutNamespace() throws {
        let text = try refusal(movesRoot: true) {
            $0.linux?.namespaces?.removeAll { $0.kind == .mount }
        }
        #expect(text.contains("unable to use no-pivot without a private MNT namespace"))
    }

    @Test(
        "--no-pivot is refused in a joined mount namespace, because its procfs mounts are unknown")
    func movedInJoinedNamespace() throws {
        let text = try refusal(movesRoot: true) {
            $0.linux?.namespaces?.removeAll { $0.kind == .mount }
            $0.linux?.namespaces?.append(Namespace(kind: .mount, path: "/run/ns"))
        }
        #expect(text.contains("--no-pivot is not possible in a mount namespace that is joined"))
    }

    @Test(
        "--no-pivot is refused with a private rootfsPropagation",
        arguments: [Linux.Propagation.private, .recursivelyPrivate])
    func movedPrivate(_ propagation: Linux.Propagation) throws {
        let text = try refusal(movesRoot: true) { $0.linux?.rootfsPropagation = propagation }
        #expect(
            text.contains("rootfsPropagation of [r]private is not safe without pivot_root"))
    }
}
