// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import InitProgram

@Suite("The assembler")
struct AssemblerTests {
    @Test("a text is stored as its bytes and a NUL, even if a longer text begins with the same")
    func textsAreBytes() {
        var code = Assembler()
        let offsets = ["\u{e9}", "e\u{301}", "sys"].map { code.textOffset($0) }
        #expect(offsets == [0, 3, 7])
        #expect(Array(code.image.data) == Array("\u{e9}\0e\u{301}\0sys\0".utf8))
    }

    @Test("structures stand at multiples of eight bytes")
    func structuresAreAligned() {
        var code = Assembler()
        _ = code.textOffset("odd")
        let words = code.words([1])
        _ = code.textOffset("x")
        let bytes = code.bytes([1, 2, 3])
        let room = code.reserve(16)
        #expect([words, bytes, room].allSatisfy { $0 % 8 == 0 })
        #expect(code.image.data.count == room + 16)
    }

    @Test("words are stored with the low byte first")
    func wordsAreLittleEndian() {
        var code = Assembler()
        let long = code.words([0x0102_0304_0506_0708])
        let short = code.words32([0x0a0b_0c0d])
        #expect(Array(code.image.data[long..<(long + 8)]) == [8, 7, 6, 5, 4, 3, 2, 1])
        #expect(Array(code.image.data[short..<(short + 4)]) == [13, 12, 11, 10])
    }

    @Test("an array of texts is their addresses and a NULL")
    func textArrays() {
        var code = Assembler()
        let array = code.textArray(["a", "bc", "a"])
        #expect(code.image.relocations.map(\.at) == [array, array + 8, array + 16])
        #expect(code.image.relocations.map(\.target) == [0, 2, 5])
        #expect(Array(code.image.data[(array + 24)...]) == [UInt8](repeating: 0, count: 8))
    }

    @Test("a skip leads to the instruction after its label")
    func skipsLeadToTheirLabel() {
        var code = Assembler()
        let cell = code.cell("result")
        let outer = code.skip(when: .isNegative(cell))
        code.call(.getpid, [])
        let inner = code.skip(when: .always)
        code.call(.getpid, [])
        code.call(.getpid, [])
        code.place(inner)
        code.place(outer)
        code.call(.exitGroup, [.literal(0)])
        let distances = code.image.instructions.compactMap { instruction -> Int? in
            guard case .skip(_, _, _, let distance) = instruction else { return nil }
            return distance
        }
        #expect(distances == [4, 2])
    }

    @Test(
        "a skip's condition is a mask and a value",
        arguments: [
            (0, Int.min, Int.min), (1, Int.min, 0), (2, -1, 7), (3, 0xf000, 0x4000), (4, 0, 0),
        ])
    func conditions(_ which: Int, _ mask: Int, _ value: Int) throws {
        var code = Assembler()
        let cell = code.cell("result")
        let conditions: [Assembler.Condition] = [
            .isNegative(cell), .isNotNegative(cell), .equals(cell, 7),
            .memory(28, mask: 0xf000, value: 0x4000), .always,
        ]
        _ = code.skip(when: conditions[which])
        guard case .skip(_, let foundMask, let foundValue, _) = code.image.instructions[0] else {
            Issue.record("not a skip")
            return
        }
        #expect(foundMask == mask)
        #expect(foundValue == value)
    }

    @Test("a descriptor has one cell, however often it is used")
    func inputsAreShared() {
        var code = Assembler()
        let first = code.input(.rendezvous)
        #expect(code.input(.rendezvous) == first)
        #expect(code.input(.mountTree(1)) != code.input(.mountTree(2)))
        #expect(
            code.input(.gapStart(phase: 0, 0)) != code.input(.gapStart(phase: 1, 0)),
            "the gaps of two phases differ")
    }

    @Test(
        "the components of a path are those of a walk from the root",
        arguments: [
            ("", []), ("/", []), (".", []), ("..", []), ("/../..", []),
            ("a", ["a"]), ("/a/b", ["a", "b"]), ("//a///b//", ["a", "b"]),
            ("/a/./b/.", ["a", "b"]), ("/a/../b", ["b"]), ("/../a", ["a"]),
            ("/a/b/../../../c", ["c"]), ("/...", ["..."]), ("/a/..b", ["a", "..b"]),
        ] as [(String, [String])])
    func components(_ path: String, _ expected: [String]) {
        #expect(path.rootedComponents.map(String.init) == expected)
    }

    @Test(
        "a text is split at each separator, even if a combining mark follows",
        arguments: [
            ("", []), (":", []), ("a", ["a"]), (":a::b:", ["a", "b"]),
            ("a:\u{301}b", ["a", "\u{301}b"]),
        ] as [(String, [String])])
    func parts(_ text: String, _ expected: [String]) {
        #expect(text.parts(between: ":").map(String.init) == expected)
        #expect(text.parts(between: ":").relativePath == expected.joined(separator: "/"))
    }

    @Test("the memory that calls fill is shared and does not overlap prepared memory")
    func scratchIsShared() {
        var code = Assembler()
        let scratch = code.scratch()
        let after = code.words([1])
        #expect(code.scratch() == scratch)
        #expect(after >= scratch + 256)
    }

    @Test("a refusal is a call that always fails, with the message as its note")
    func refusals() {
        var code = Assembler()
        code.refuse("no such thing")
        #expect(
            code.image.instructions == [
                .call(.close, [.literal(-1)], result: nil, ignoring: [], retries: 0)
            ])
        #expect(code.image.note(of: 0) == "no such thing")
    }

    @Test("a created container waits for start at the accept instruction")
    func startWait() throws {
        let image = ProgramImage(of: .exchange(.waitForStart))
        let index = try #require(image.startWaitIndex)
        guard case .call(let call, _, _, _, _) = image.instructions[index] else {
            Issue.record("not a call")
            return
        }
        #expect(call.name == "accept4")
        #expect(ProgramImage(of: .exchange(.waitForParent(.start))).startWaitIndex == nil)
    }

    @Test("the first process of a pid namespace waits for start and signals at the same time")
    func startOrSignalWait() throws {
        let image = ProgramImage(of: .exchange(.waitForStartOrSignal))
        let index = try #require(image.startWaitIndex)
        #expect(image.rendered(index).hasPrefix("ppoll("))
        let statuses = image.instructions.compactMap { instruction -> Int? in
            guard case .call(let call, let operands, _, _, _) = instruction,
                call.name == "exit_group", case .literal(let status) = operands.first
            else { return nil }
            return status
        }
        #expect(statuses == [129, 130, 131, 134, 143])
    }
}
