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

    @Test(
        "a path with nothing to resolve is told from others, which gives the same path either way",
        arguments: [
            ("/a", true), ("/a/b", true), ("/...", true), ("/.a", true), ("/..a", true),
            ("/a.", true), ("/a..", true), ("/a/.b/..c", true), ("/\u{301}", true), ("", false),
            ("/", false), ("//", false), ("a", false), ("./a", false), ("/.", false),
            ("/..", false), ("/a/", false), ("/a//b", false), ("/a/.", false), ("/a/..", false),
            ("/./a", false), ("/../a", false),
        ])
    func plainPaths(_ path: String, _ isPlain: Bool) {
        #expect(path.isPlainPath == isPlain)
        #expect(path.rootedPath.isSame("/" + path.rootedComponents.relativePath))
        let parts = path.parts(between: "/").map(String.init)
        #expect(parts.map { Array($0.utf8) } == path.utf8.split(separator: 47).map(Array.init))
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

    @Test("numbers of any width stand in a text as decimal digits")
    func interpolation() {
        #expect("\(Int64.min) \(Int64.max)" == "-9223372036854775808 9223372036854775807")
        #expect("\(UInt32.max) \(UInt64.max)" == "4294967295 18446744073709551615")
    }

    @Test(
        "a number is written as its hexadecimal digits",
        arguments: [(0, "0"), (15, "f"), (16, "10"), (0xab, "ab"), (.max, "ffffffffffffffff")])
    func hexadecimalDigits(_ number: UInt64, _ text: String) {
        #expect(number.hexadecimalText == text)
    }
}
