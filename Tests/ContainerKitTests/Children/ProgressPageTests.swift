// SPDX-License-Identifier: Apache-2.0

import CLinux
import Testing

@testable import ContainerKit

@Suite("The file of a progress page")
struct ProgressPageTests {
    /// A page as a launch makes it, with a child at instruction 7.
    private func bytes() throws -> [UInt8] {
        let file = try memoryFile("page", for: .data)
        let copy = try duplicate(file.number, from: 3)
        let page = try ProgressPage(file)
        page.pointer.pointee.index = 7
        page.note(pid: 4321, startTime: 99)
        return try readFile("/proc/self/fd/\(copy.number)")
    }

    @Test("a page that a launch has made is known again, with its position and process")
    func whole() throws {
        let bytes = try bytes()
        #expect(ProgressPage.isWhole(bytes))
        #expect(ProgressPage.read(bytes)?.index == 7)
        #expect(ProgressPage.process(bytes)?.pid == 4321)
    }

    @Test("a page that is cut, longer, empty, or without its mark is not taken for one")
    func damaged() throws {
        let bytes = try bytes()
        #expect(ProgressPage.read([]) == nil)
        #expect(ProgressPage.read(Array("garbage\n".utf8)) == nil)
        #expect(ProgressPage.read(bytes.dropLast()) == nil)
        #expect(ProgressPage.read(bytes + [0]) == nil)
        #expect(ProgressPage.read([UInt8](repeating: 0, count: bytes.count)) == nil)
        #expect(ProgressPage.read([UInt8](repeating: 0x41, count: bytes.count)) == nil)
        let mark = try #require(bytes.firstRange(of: Array("swruncP1".utf8)))
        var other = bytes
        other[mark.upperBound - 1] = UInt8(ascii: "2")
        #expect(ProgressPage.read(other) == nil)
    }

    @Test(
        "a mark that no page has was never noted, whatever a damaged record says",
        arguments: [-1, 192, 1 << 59, Int.min, Int.max])
    func marks(_ mark: Int) throws {
        var bytes = try bytes()
        #expect(ProgressPage.time(ofMark: mark, bytes) == nil)
        // The first one is at byte 1024: a second of 1970.
        bytes[1024] = 1
        #expect(ProgressPage.time(ofMark: 0, bytes) == 1_000_000_000)
    }

    @Test("pages of earlier versions are read: one page without notes, and notes without the mark")
    func earlier() throws {
        let bytes = try bytes()
        let first = Array(bytes.prefix(bytes.count / 2))
        #expect(ProgressPage.read(first)?.index == 7)
        #expect(ProgressPage.process(first) == nil)
        let mark = try #require(bytes.firstRange(of: Array("swruncP1".utf8)))
        var unmarked = bytes
        unmarked.replaceSubrange(mark, with: repeatElement(0, count: mark.count))
        #expect(ProgressPage.read(unmarked)?.index == 7)
    }
}
