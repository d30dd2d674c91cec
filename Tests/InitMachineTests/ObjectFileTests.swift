// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import ContainerKit

/// `@_noLocks` does not look into blocks that throw or trap: the linker's view leaves nothing out.
@Suite("The object files of InitMachine")
struct ObjectFileTests {
    /// Symbols of C that neither allocate nor lock.
    static let allowed: Set<String> = ["memcpy", "memset"]
    /// How Swift mangles what the module itself declares.
    static let ownPrefix = "$s11InitMachine"

    /// The folder with the object files of the module: beside the test binary that runs.
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

    private static func symbols(_ option: String) throws -> Set<String> {
        let folder = try objectFolder()
        let stream = try #require(popen("nm -j \(option) '\(folder)'/*.o", "r"))
        var text: [UInt8] = []
        while case let byte = fgetc(stream), byte != EOF { text.append(UInt8(byte)) }
        try #require(pclose(stream) == 0, "nm failed")
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        return Set(lines.filter { !$0.hasSuffix(":") }.map(String.init))
    }

    @Test("the child calls nothing that could allocate, lock or enter the Swift runtime")
    func undefinedSymbols() throws {
        let foreign = try Self.symbols("-u").filter {
            !$0.hasPrefix(Self.ownPrefix) && !Self.allowed.contains($0)
        }
        #expect(foreign.sorted() == [])
    }

    @Test("the audit looks at the machine: its functions are in the object files")
    func definedSymbols() throws {
        let defined = try Self.symbols("--defined-only")
        #expect(defined.contains { $0.hasPrefix(Self.ownPrefix) && $0.contains("startChild") })
        #expect(defined.contains { $0.hasPrefix(Self.ownPrefix) && $0.contains("runB") })
    }
}
