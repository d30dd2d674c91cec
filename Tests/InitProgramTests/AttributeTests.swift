// SPDX-License-Identifier: Apache-2.0

import KernelVocabulary
import Testing

@testable import InitProgram

@Suite("Attributes of a process")
struct AttributeTests {
    @Test(
        "a CPU or node list becomes a bit for each number",
        arguments: [
            ("0", [1]), ("3", [8]), ("0-2", [7]), ("0,2", [5]), ("63-64", [1 << 63, 1]),
            ("1,130", [2, 0, 4]), ("4,1,1-2", [0b10110]),
        ] as [(String, [UInt64])])
    func lists(_ text: String, _ words: [UInt64]) {
        #expect(NumberSet(list: text) == NumberSet(text: text, words: words))
    }

    @Test(
        "a text that is not a list of numbers is refused",
        arguments: ["", ",", "1,", "a", "2-1", "1-", "-1", "1-2-3", " 1", "65536", "0x1"])
    func noLists(_ text: String) {
        #expect(NumberSet(list: text) == nil)
    }

    /// The only call of a step, and its prepared memory as words.
    private func lowered(_ step: InitStep) throws -> (operands: [Operand], words: [UInt64]) {
        let image = ProgramImage(of: step)
        let call = try #require(image.ofStep.last)
        guard case .call(_, let operands, _, _, _) = call else {
            throw Mistake()
        }
        let words = stride(from: 0, to: image.data.count & ~7, by: 8).map { offset in
            (0..<8).reduce(0) { $0 | UInt64(image.data[offset + $1]) << UInt64($1 * 8) }
        }
        return (operands, words)
    }

    private struct Mistake: Error {}

    /// The offset of the operand's memory, in words.
    private func place(_ operand: Operand) -> Int? {
        guard case .address(let offset) = operand else { return nil }
        return offset / 8
    }

    @Test("a scheduler is encoded as struct sched_attr, byte for byte")
    func scheduler() throws {
        let (operands, words) = try lowered(
            .attribute(
                .setScheduler(
                    SchedulingAttributes(
                        policy: .deadline, flags: .resetOnFork | .reclaim, nice: -2, priority: 5,
                        runtime: 10, deadline: 20, period: 30))))
        let start = try #require(place(operands[1]))
        #expect(operands.count == 3 && operands[0] == .literal(0) && operands[2] == .literal(0))
        #expect(
            Array(words[start..<start + 7])
                == [56 | 6 << 32, 3, 0xffff_fffe | 5 << 32, 10, 20, 30, 0])
    }

    @Test("a memory policy's node mask is one bit longer than its nodes, as the kernel expects")
    func memoryPolicy() throws {
        let nodes = try #require(NumberSet(list: "0,65"))
        let (operands, words) = try lowered(
            .attribute(
                .setMemoryPolicy(MemoryPolicyChange(mode: MemoryPolicyWord(.bind), nodes: nodes))))
        let start = try #require(place(operands[1]))
        #expect(operands[0] == .named(MemoryPolicyWord(.bind)) && operands[2] == .literal(129))
        #expect(Array(words[start..<start + 2]) == [1, 2])
        let (without, _) = try lowered(
            .attribute(
                .setMemoryPolicy(MemoryPolicyChange(mode: MemoryPolicyWord(.local), nodes: nil))))
        #expect(without == [.named(MemoryPolicyWord(.local)), .literal(0), .literal(0)])
    }

    @Test("an I/O priority is encoded as class and level in one number")
    func ioPriority() throws {
        let (operands, _) = try lowered(
            .attribute(
                .setIOPriority(
                    IOPriorityValue(schedulingClass: .idle, level: 2))))
        #expect(operands.map(\.value) == [PriorityTarget.process.rawValue, 0, 3 << 13 | 2])
    }

    @Test("a CPU set is passed to the kernel with its length in bytes")
    func affinity() throws {
        let set = try #require(NumberSet(list: "64"))
        let (operands, words) = try lowered(.attribute(.setCPUAffinity(set, .initial)))
        let start = try #require(place(operands[2]))
        #expect(operands[0] == .literal(0) && operands[1] == .literal(16))
        #expect(Array(words[start..<start + 2]) == [0, 1])
    }
}
