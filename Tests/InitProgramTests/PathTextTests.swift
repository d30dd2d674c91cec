// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import InitProgram

@Suite("Paths and names are bytes")
struct PathTextTests {
    @Test("a slash at the start of a path is found even if a combining mark follows it")
    func beginnings() {
        #expect("/\u{301}x".begins(with: "/"))
        #expect("/proc/\u{301}x".begins(with: "/proc/"))
        #expect(!"/pro".begins(with: "/proc"))
        #expect("\u{e9}t\u{e9}".dropFirst().begins(with: "t"))
    }

    @Test("an ending is found even if a combining mark begins it")
    func endings() {
        #expect("x\u{301}/..".ends(with: "\u{301}/.."))
        #expect(!"/..".ends(with: "x/.."))
    }

    @Test("accents that are composed in two ways are two different names")
    func sameness() {
        #expect("/\u{e9}".isSame("/\u{e9}"))
        #expect(!"/\u{e9}".isSame("/e\u{301}"))
    }

    @Test("texts are joined with the separator only between them")
    func joining() {
        #expect(String.joined([], by: ", ").isEmpty)
        #expect(String.joined(["a"], by: ", ") == "a")
        #expect(String.joined(["a", "", "b"], by: ", ") == "a, , b")
    }

    @Test("path components can be joined to a path below a root, and to a relative one")
    func components() {
        #expect("/a/./b/../c//".rootedComponents.pathBelow == "/a/c")
        #expect("../a/c".rootedComponents.relativePath == "a/c")
        #expect("/".rootedComponents.pathBelow.isEmpty)
    }
}

@Suite("Numbers as text")
struct DecimalTextTests {
    @Test(
        "a number is written as its decimal digits",
        arguments: [0, 7, 10, 4096, -1, -255, Int.max, Int.min])
    func digits(_ number: Int) {
        #expect(number.decimalText == number.description)
    }
}
