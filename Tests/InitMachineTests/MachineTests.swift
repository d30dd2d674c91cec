// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import InitMachine
import KernelVocabulary
import SystemPackage
import Testing

@testable import ContainerKit
@testable import InitProgram

@Suite("The machine")
struct MachineTests {
    // MARK: Calls

    @Test("a program runs to its end and gives its status", arguments: [0, 1, 42, 255])
    func success(_ status: Int) throws {
        let done = try runInChild { code, _ in
            code.call(.getpid, [])
            code.exit(status)
        }
        #expect(done.outcome == .exited(Int32(status)))
        // The end of the program cannot fail: the page shows the last instruction before it.
        #expect(done.index == 0)
    }

    @Test("the first refused call stops the program and is reported")
    func refusedCall() throws {
        let done = try runInChild { code, output in
            code.call(.getpid, [])
            code.call(.close, [.literal(-1)])
            code.call(.write, [output, code.text("went on"), .literal(7)])
            code.exit(0)
        }
        #expect(done.outcome == .failed(instruction: 1, errno: EBADF))
        #expect(done.text == "")
    }

    @Test(
        "an ignored errno lets the program continue, and is stored negated in the cell",
        arguments: 0..<4)
    func ignoredErrno(_ place: Int) throws {
        var ignored = [Errno](repeating: .notPermitted, count: 4)
        ignored[place] = .badFileDescriptor
        let done = try runInChild { code, output in
            let result = code.cell("result")
            code.call(.close, [.literal(-1)], into: result, ignoring: ignored)
            code.write(result, to: output)
            code.exit(3)
        }
        #expect(done.outcome == .exited(3))
        #expect(done.number == Int64(-EBADF))
    }

    @Test("an errno that is not among the ignored ones stops the program")
    func otherErrno() throws {
        let done = try runInChild { code, _ in
            code.call(
                .close, [.literal(-1)],
                ignoring: [.notPermitted, .noSuchFileOrDirectory, .fileExists, .invalidArgument])
            code.exit(0)
        }
        #expect(done.outcome == .failed(instruction: 0, errno: EBADF))
    }

    @Test("a refused call leaves its errno in its cell too")
    func resultOfRefusal() throws {
        // The cell of the failed call belongs to the child and the parent cannot see it: the errno
        // is in the page, and the status is the machine's own.
        let done = try runInChild { code, _ in
            code.call(.openat, [.literal(-100), code.text("/nonexistent"), .literal(0)])
            code.exit(0)
        }
        #expect(done.outcome == .failed(instruction: 0, errno: ENOENT))
    }

    @Test("a call's result is stored in its cell")
    func results() throws {
        let done = try runInChild { code, output in
            let pid = code.cell("pid")
            code.call(.getpid, [], into: pid)
            code.write(pid, to: output)
            code.exit(0)
        }
        #expect(done.number == Int64(done.pid))
    }

    @Test("each of a call's six operands may be a cell", arguments: [0, 1, 2, 4, 8, 16, 32, 63])
    func operands(_ inCells: Int) throws {
        // glibc hides memfd_create(2) from Swift; 1 is MFD_CLOEXEC.
        let file = "operands".withCString { name in
            CInt(raw_system_call(Int(__NR_memfd_create), Int(bitPattern: name), 1, 0, 0, 0, 0))
        }
        try #require(file >= 0)
        defer { close(file) }
        try #require(pwrite(file, "page one", 8, 4096) == 8)
        // mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 4096)
        let values: [CInt] = [0, 4096, 1, 2, file, 4096]
        let inputs = numbers(
            values[0], values[1], values[2], values[3], values[4], values[5])
        let done = try runInChild(inputs: inputs) { code, output in
            let cells = values.indices.map { code.number($0) }
            let address = code.cell("address")
            let operands = InlineArray<6, Operand> { index in
                inCells & (1 << index) != 0 ? .cell(cells[index]) : .literal(Int(values[index]))
            }
            code.call(SystemCall("mmap", __NR_mmap), operands, into: address)
            code.call(.write, [output, .cell(address), .literal(8)])
            code.exit(0)
        }
        #expect(done.outcome == .exited(0))
        #expect(done.text == "page one")
    }

    @Test("operands may be texts and prepared memory")
    func memory() throws {
        let done = try runInChild { code, output in
            code.call(.write, [output, code.text("text "), .literal(5)])
            code.call(.write, [output, .address(code.bytes(Array("bytes".utf8))), .literal(5)])
            code.exit(0)
        }
        #expect(done.text == "text bytes")
    }

    // MARK: Copies

    @Test(
        "a copy stores only the low bytes of a cell",
        arguments: [
            (1, [0x44, 9, 9, 9, 9, 9, 9, 9]), (2, [0x44, 0x33, 9, 9, 9, 9, 9, 9]),
            (4, [0x44, 0x33, 0x22, 0x11, 9, 9, 9, 9]), (8, [0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0]),
        ] as [(Int, [UInt8])])
    func copies(_ width: Int, _ expected: [UInt8]) throws {
        let done = try runInChild(inputs: numbers(0x1122_3344)) { code, output in
            let cell = code.number(0)
            let place = code.bytes([UInt8](repeating: 9, count: 8))
            code.copy(cell, to: place, width: width)
            code.call(.write, [output, .address(place), .literal(8)])
            code.exit(0)
        }
        #expect(done.output == expected)
    }

    @Test("a negative cell is copied with its sign")
    func negativeCopy() throws {
        let done = try runInChild(inputs: numbers(-2)) { code, output in
            let cell = code.number(0)
            let place = code.reserve(8)
            code.copy(cell, to: place, width: 8)
            code.call(.write, [output, .address(place), .literal(8)])
            code.exit(0)
        }
        #expect(done.number == -2)
    }

    // MARK: Skips

    /// Exits with 7 when the skip is taken, else with 1.
    private func isTaken(
        inputs: DescriptorTable<CInt> = [:],
        _ condition: (inout Assembler) -> Assembler.Condition
    ) throws -> Bool {
        let done = try runInChild(inputs: inputs) { code, _ in
            let condition = condition(&code)
            let label = code.skip(when: condition)
            code.exit(1)
            code.place(label)
            code.exit(7)
        }
        #expect([.exited(1), .exited(7)].contains(done.outcome))
        return done.outcome == .exited(7)
    }

    @Test(
        "a skip is taken when memory & mask is the value",
        arguments: [
            (0x4123, 0xf000, 0x4000, true), (0x8123, 0xf000, 0x4000, false),
            (0x4123, -1, 0x4123, true), (0x4123, -1, 0x4122, false),
            (0, 0, 0, true), (-1, 0, 0, true), (-1, 0, 1, false),
            (Int.min, Int.min, Int.min, true), (Int.max, Int.min, Int.min, false),
            (3 << 32 | 1, -1, 3 << 32 | 1, true), (4 << 32 | 1, -1, 3 << 32 | 1, false),
        ])
    func memorySkips(_ memory: Int, _ mask: Int, _ value: Int, _ expected: Bool) throws {
        let taken = try isTaken { code in
            .memory(code.words([UInt64(bitPattern: Int64(memory))]), mask: mask, value: value)
        }
        #expect(taken == expected)
    }

    @Test("a skip may look at memory that is not aligned")
    func unalignedSkip() throws {
        let taken = try isTaken { code in
            let start = code.bytes([0, 0, 0, 0, 0x44, 0x33, 0, 0, 0, 0, 0, 0])
            return .memory(start + 4, mask: 0xffff, value: 0x3344)
        }
        #expect(taken)
    }

    @Test(
        "a skip on a cell tests its sign or its value",
        arguments: [
            (-1, true, false), (-4095, true, false), (0, false, true), (5, false, false),
            (CInt.max, false, false), (CInt.min, true, false),
        ] as [(CInt, Bool, Bool)])
    func cellSkips(_ value: CInt, _ isNegative: Bool, _ isZero: Bool) throws {
        let inputs = numbers(value)
        #expect(try isTaken(inputs: inputs) { .isNegative($0.number(0)) } == isNegative)
        #expect(try isTaken(inputs: inputs) { .isNotNegative($0.number(0)) } == !isNegative)
        #expect(try isTaken(inputs: inputs) { .equals($0.number(0), 0) } == isZero)
        #expect(try isTaken(inputs: inputs) { .equals($0.number(0), Int(value)) })
    }

    @Test("a skip jumps over as many instructions as lie before its label")
    func skipDistance() throws {
        let done = try runInChild { code, output in
            func say(_ text: String) { code.call(.write, [output, code.text(text), .literal(1)]) }
            say("a")
            let outer = code.skip(when: .always)
            say("b")
            say("c")
            code.place(outer)
            say("d")
            code.exit(0)
        }
        #expect(done.text == "ad")
    }

    // MARK: Retries

    static let countsReads = access("/proc/self/io", R_OK) == 0

    /// Reads `descriptor` with retries, ignores the result, and returns the kernel's count of
    /// reads.
    private func countReads(of descriptor: CInt, retries: Int, ignoring: CInt) throws -> String {
        // In a copied child, since the kernel's own reads for an exec are counted as well.
        let done = try runInChild(copying: .clearHandlers) { code, output in
            let buffer = code.reserve(512)
            let file = code.cell("io")
            let count = code.cell("count")
            code.call(
                .read, [.literal(Int(descriptor)), .address(buffer), .literal(1)],
                ignoring: [Errno(rawValue: ignoring)], retries: retries)
            code.call(
                .openat, [.literal(-100), code.text("/proc/self/io"), .literal(0)], into: file)
            code.call(.read, [.cell(file), .address(buffer), .literal(512)], into: count)
            code.call(.write, [output, .address(buffer), .cell(count)])
            code.exit(0)
        }
        #expect(done.outcome == .exited(0))
        return String(done.text.split(separator: "\n").first { $0.hasPrefix("syscr: ") } ?? "")
    }

    @Test(
        "a call that fails with EAGAIN is retried up to its limit",
        .enabled(if: countsReads, "the kernel counts no reads"), arguments: [0, 1, 5, 1000])
    func retriesAreBounded(_ retries: Int) throws {
        let pipe = try Pipe(nonBlocking: true)
        let count = try countReads(of: pipe.reading, retries: retries, ignoring: EAGAIN)
        #expect(count == "syscr: \(retries + 1)")
    }

    @Test(
        "a call that fails with another errno is not retried",
        .enabled(if: countsReads, "the kernel counts no reads"))
    func othersAreNotRetried() throws {
        let directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try #require(directory >= 0)
        defer { close(directory) }
        #expect(try countReads(of: directory, retries: 9, ignoring: EISDIR) == "syscr: 1")
    }

    @Test("a call that fails with EAGAIN in its last try stops the program")
    func exhaustedRetries() throws {
        let pipe = try Pipe(nonBlocking: true)
        let reading = pipe.reading
        let done = try runInChild(inputs: numbers(reading)) { code, _ in
            let buffer = code.reserve(8)
            code.call(
                .read, [.literal(Int(reading)), .address(buffer), .literal(1)], retries: 20)
            code.exit(0)
        }
        #expect(done.outcome == .failed(instruction: 0, errno: EAGAIN))
    }

    // MARK: The page

    @Test("the progress page shows where a hanging program was when it was killed")
    func progressOutlivesTheChild() throws {
        let pipe = try Pipe()
        var code = Assembler()
        let buffer = code.reserve(8)
        code.call(.getpid, [])
        code.call(.getpid, [])
        code.call(.read, [.literal(Int(pipe.reading)), .address(buffer), .literal(1)])
        code.exit(0)
        let program = try RunningProgram(code.image, inputs: numbers(pipe.reading))
        var patience = 10_000
        while program.page.index < 2, patience > 0 {
            usleep(1000)
            patience -= 1
        }
        try program.kill()
        #expect(try program.finish() == .signaled(SIGKILL))
        #expect(program.page.index == 2)
        #expect(program.page.error == 0)
    }
}
