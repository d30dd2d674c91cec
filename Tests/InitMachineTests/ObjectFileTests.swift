// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import ContainerKit

/// The machine's bytes run alone, at another address: what they referred to would not be there.
@Suite("The object file of the machine")
struct ObjectFileTests {
    static let section = "init_machine"

    /// The folder with the object files of the module, beside the test binary that runs.
    private static func objectFolder() throws -> String {
        let maps = String(decoding: try readFile("/proc/self/maps"), as: UTF8.self)
        let binary = try #require(
            maps.split(separator: "\n").compactMap { line -> Substring? in
                guard let slash = line.firstIndex(of: "/") else { return nil }
                let path = line[slash...]
                return path.hasSuffix(".xctest") ? path : nil
            }.first, "the test binary is not among the mapped files")
        let end = try #require(binary.lastIndex(of: "/"))
        return binary[..<end] + "/InitMachine.build"
    }

    private static func output(_ command: String) throws -> [Substring] {
        let folder = try objectFolder()
        let files = ["Machine", "TreeCopy"].map { "'\(folder)/\($0).c.o'" }
        let stream = try #require(popen("\(command) \(files.joined(separator: " "))", "r"))
        var text: [UInt8] = []
        while case let byte = fgetc(stream), byte != EOF { text.append(UInt8(byte)) }
        try #require(pclose(stream) == 0, "\(command) failed")
        return String(decoding: text, as: UTF8.self).split(separator: "\n")
    }

    /// The symbols that are defined in the machine's section, and the section's own.
    private static func ownSymbols() throws -> Set<Substring> {
        // VALUE FLAGS SECTION SIZE [.hidden] NAME, where the flags are seven columns.
        let symbols = try output("objdump -t").filter { $0.contains(" \(section)\t") }
        return Set(symbols.compactMap { $0.split(separator: " ").last })
    }

    @Test("no relocation leads out of the machine's section")
    func relocations() throws {
        let own = try Self.ownSymbols()
        // OFFSET TYPE SYMBOL+ADDEND
        let targets = try Self.output("objdump -r -j \(Self.section)").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 3, words[1].hasPrefix("R_") else { return nil as Substring? }
            return words[2].split(whereSeparator: { "+-".contains($0) }).first
        }
        #expect(targets.filter { !own.contains($0) && $0 != Self.section } == [])
    }

    @Test("the audit looks at the machine: its functions are in the section")
    func definedSymbols() throws {
        let own = try Self.ownSymbols()
        #expect(own.isSuperset(of: ["machine_run", "machine_entry", "machine_copy_tree"]))
    }
}
