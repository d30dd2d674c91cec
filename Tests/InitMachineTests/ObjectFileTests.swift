// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import ContainerKit

/// Only the machine's section is executed, at another address: code or data outside of it would be
/// missing.
@Suite("The object file of the machine")
struct ObjectFileTests {
    static let section = "init_machine"

    /// The folder with the object files of the module, beside the running test binary.
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

    /// The output of a command for object files.
    private static func output(_ command: String, of files: [String]) throws -> [Substring] {
        let call = files.reduce(command) { "\($0) '\($1)'" }
        let stream = try #require(popen(call, "r"))
        var text: [UInt8] = []
        while case let byte = fgetc(stream), byte != EOF { text.append(UInt8(byte)) }
        try #require(pclose(stream) == 0, "\(command) failed")
        return String(decoding: text, as: UTF8.self).split(separator: "\n")
    }

    /// The symbols defined in the machine's section.
    private static func ownSymbols(_ files: [String]) throws -> Set<Substring> {
        // VALUE FLAGS SECTION SIZE [.hidden] NAME; the flags are seven columns.
        let symbols = try output("objdump -t", of: files).filter { $0.contains(" \(section)\t") }
        return Set(symbols.compactMap { $0.split(separator: " ").last })
    }

    /// The symbols to which a section refers.
    private static func references(of section: String, in files: [String]) throws -> [Substring] {
        // OFFSET TYPE SYMBOL+ADDEND
        try output("objdump -r -j \(section)", of: files).compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 3, words[1].hasPrefix("R_") else { return nil as Substring? }
            return words[2].split(whereSeparator: { "+-".contains($0) }).first
        }
    }

    private static func expectClosedSection(_ files: [String]) throws {
        let own = try ownSymbols(files)
        #expect(own.isSuperset(of: ["machine_run", "machine_entry", "machine_copy_tree"]))
        let targets = try references(of: section, in: files)
        #expect(targets.filter { !own.contains($0) && $0 != section } == [])
    }

    /// The sources of the section.
    private static let sources = ["Machine.c", "TreeCopy.c"]

    @Test("the machine calls nothing outside of its own section in this build")
    func thisBuild() throws {
        let folder = try Self.objectFolder()
        try Self.expectClosedSection(Self.sources.map { "\(folder)/\($0).o" })
    }

    // MARK: Other builds

    /// The compiler flags of SwiftPM that change the code, for each kind of build.
    ///
    /// They are in its manifest (.build/debug.yaml). For coverage it passes none to the C compiler;
    /// other tools do.
    static let flags = [
        "-O0 -DDEBUG=1", "-O2", "-O0 -fsanitize=thread", "-O2 -fsanitize=thread",
        "-O0 -fsanitize=address", "-O2 -fsanitize=address", "-O0 -fsanitize=undefined",
        "-O0 -fprofile-instr-generate -fcoverage-mapping",
        "-O2 -fprofile-instr-generate -fcoverage-mapping", "-O2 -fprofile-arcs -ftest-coverage",
        "-O2 -pg -fstack-protector-all -finstrument-functions",
    ]

    private static let compiler: String? = getenv("PATH").flatMap { path in
        String(cString: path).split(separator: ":").map { "\($0)/clang" }
            .first { access($0, X_OK) == 0 }
    }

    private static let hasCompiler: ConditionTrait = .enabled(
        if: compiler != nil && access("/usr/bin/objdump", X_OK) == 0, "needs clang and objdump")

    /// Compiles files as SwiftPM does, but puts functions that have no section into one each.
    private static func compile(
        _ names: [String], _ flags: String, _ body: (_ files: [String]) throws -> Void
    ) throws {
        let package = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let sources = "\(package)/Sources"
        var template = Array("/tmp/swrunc-objects-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let folder = String(
            decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        let objects = names.map { "\(folder)/\($0).o" }
        defer {
            for object in objects { unlink(object) }
            rmdir(folder)
        }
        for (name, object) in zip(names, objects) {
            let call = """
                \(try #require(compiler)) \(flags) -fPIC -g -fblocks -fno-omit-frame-pointer \
                -ffunction-sections -I '\(sources)/InitMachine/include' \
                -I '\(sources)/CLinux/include' -c '\(sources)/InitMachine/\(name)' -o '\(object)'
                """
            try #require(try runInShell(call) == 0, "\(call)")
        }
        try body(objects)
    }

    @Test(
        "the machine calls nothing outside of its own section in any kind of build", hasCompiler,
        arguments: flags)
    func everyBuild(_ flags: String) throws {
        try Self.compile(Self.sources, flags) { try Self.expectClosedSection($0) }
    }

    @Test(
        "a child in its parent's memory calls only its own code in any kind of build",
        hasCompiler, arguments: flags)
    func window(_ flags: String) throws {
        try Self.compile(["Start.c"], flags) { files in
            for (function, known) in [
                ("leave", []), ("run", ["machine_run"]),
                // The data for the caller is copied before the clone.
                ("start", ["machine_clone", "memcpy"]),
            ] as [(String, Set<Substring>)] {
                let targets = try Self.references(of: ".text.\(function)", in: files)
                // Constants of the same file are read, not called.
                let called = targets.filter { !$0.hasPrefix(".rodata") && !$0.hasPrefix(".L") }
                #expect(called.allSatisfy { known.contains($0) }, "\(function): \(called)")
            }
        }
    }

    @Test(
        "the audit of the machine's object file detects instrumentation in another function",
        hasCompiler,
        arguments: [
            ("-O0 -fsanitize=thread", "__tsan"), ("-O0 -fsanitize=address", "__asan"),
            ("-O0 -fprofile-instr-generate -fcoverage-mapping", "__llvm_prf"),
        ])
    func instrumented(_ flags: String, _ prefix: String) throws {
        try Self.compile(["Executable.c"], flags) { files in
            let targets = try Self.references(of: ".text.machine_executable", in: files)
            #expect(targets.contains { $0.hasPrefix(prefix) }, "\(targets)")
        }
    }
}
