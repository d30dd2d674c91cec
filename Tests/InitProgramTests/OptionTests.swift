// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Testing

@testable import InitProgram

@Suite("Options and masks")
struct OptionTests {
    @Test(
        "prctl gets its arguments, and zero for those that it does not use",
        arguments: [
            (.process(.forbidPtrace), [Int(PR_SET_DUMPABLE), 0, 0, 0, 0]),
            (.process(.permitPtrace), [Int(PR_SET_DUMPABLE), 1, 0, 0, 0]),
            (.identity(.keepCapabilities), [Int(PR_SET_KEEPCAPS), 1, 0, 0, 0]),
            (.identity(.forbidNewPrivileges), [Int(PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0]),
            (
                .identity(.setAmbientCapabilities(0)),
                [Int(PR_CAP_AMBIENT), Int(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0]
            ),
        ] as [(InitStep, [Int])])
    func prctls(_ step: InitStep, _ expected: [Int]) {
        #expect(ProgramImage(of: step).operands(of: "prctl").map { $0.map(\.value) } == [expected])
    }

    @Test("each capability that is not kept is dropped once from the bounding set")
    func boundingSet() {
        let image = ProgramImage(of: .identity(.limitBoundingSet(keeping: 0b1010, last: 5)))
        #expect(image.operands(of: "prctl").map { $0[1].value } == [0, 2, 4, 5])
    }

    @Test("the first capability that the kernel does not know ends the drop of the unknown ones")
    func unknownCapabilities() {
        func skips(last: Int) -> Int {
            let image = ProgramImage(of: .identity(.limitBoundingSet(keeping: 0, last: last)))
            return image.instructions.count { if case .skip = $0 { true } else { false } }
        }
        #expect(skips(last: 40) == 0)
        #expect(skips(last: 63) == 23)
    }

    @Test("the ambient set is cleared first, then its capabilities are raised one by one")
    func ambientSet() {
        let image = ProgramImage(of: .identity(.setAmbientCapabilities(1 << 3 | 1 << 40)))
        let calls = image.operands(of: "prctl").map { $0.map(\.value) }
        let ambient = Int(PR_CAP_AMBIENT)
        let raise = Int(PR_CAP_AMBIENT_RAISE)
        #expect(
            calls == [
                [ambient, Int(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0],
                [ambient, raise, 3, 0, 0], [ambient, raise, 40, 0, 0],
            ])
    }
}
