// SPDX-License-Identifier: Apache-2.0

import InitProgram
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Masked and read-only paths")
struct MaskedPathsTests {
    @Test("a path that is repeated, even in another spelling, counts once")
    func once() throws {
        let paths = ["/a", "/a/", "//a", "/./a/.", "/b/c", "/a", "/b//c"]
        let hidden = try MaskedPaths(Linux(maskedPaths: paths, readonlyPaths: paths))
        #expect(hidden.masked == ["/a", "/b/c"])
        #expect(hidden.readOnly == ["/a", "/b/c"])
    }

    @Test("paths that differ in bytes, or contain .., are different paths")
    func others() throws {
        // The same letter, composed and decomposed; after a link, `..` leads elsewhere.
        let paths = ["/\u{e9}", "/e\u{301}", "/link/../a", "/a", "/A"]
        let hidden = try MaskedPaths(Linux(maskedPaths: paths))
        #expect(hidden.masked.map { Array($0.utf8) } == paths.map { Array($0.utf8) })
    }

    @Test("the root directory is never masked", arguments: ["/", "//", "/.", "/x/.."])
    func maskedRoot(_ path: String) {
        let error = #expect(throws: SpecError.self) {
            try MaskedPaths(Linux(maskedPaths: ["/a", path]))
        }
        #expect(error?.path.description == "linux.maskedPaths[1]")
    }

    @Test("the root among the read-only paths makes the root mount read-only")
    func readOnlyRoot() throws {
        let hidden = try MaskedPaths(Linux(readonlyPaths: ["/a", "//."]))
        #expect(hidden.readOnly == ["/a"])
        #expect(hidden.protectsRoot)
        let plan = try PlanCase(
            name: "root",
            change: {
                $0.root?.readonly = false
                $0.linux?.readonlyPaths = ["/"]
            }
        ).plan()
        #expect(
            plan.childSteps.contains {
                $0.step == .mount(.makeReadOnly("/")) && $0.origin == "linux.readonlyPaths"
            })
    }
}
