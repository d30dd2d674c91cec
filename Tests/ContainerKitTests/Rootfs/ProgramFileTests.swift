// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ContainerKit

@Suite("Why a program's file cannot be executed")
struct ProgramFileTests {
    /// A 64-bit ELF file with one program header that names a loader.
    private static func elf(
        loader: String, table: UInt64 = 64, entrySize: UInt16 = 56, nameOffset: UInt64 = 120
    ) -> [UInt8] {
        var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + Array(repeating: 0, count: 57)
        func put(_ number: UInt64, _ bytes: Int, at offset: Int) {
            while file.count < offset + bytes { file.append(0) }
            for index in 0..<bytes {
                file[offset + index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * index))
            }
        }
        put(table, 8, at: 32)
        put(UInt64(entrySize), 2, at: 54)
        put(1, 2, at: 56)
        put(3, 4, at: 64)
        put(nameOffset, 8, at: 72)
        put(UInt64(loader.utf8.count + 1), 8, at: 96)
        put(0, 8, at: 112)
        return file + Array(loader.utf8) + [0]
    }

    @Test(
        "the interpreter of a script is the first word after #!, as the kernel reads it",
        arguments: [
            ("#!/bin/sh\necho", "/bin/sh"), ("#! \t/usr/bin/env -S x\n", "/usr/bin/env"),
            ("#!/bin/sh\r\n", "/bin/sh\r"), ("#!", nil), ("#!\n/bin/sh", nil), ("echo", nil),
            ("", nil),
        ] as [(String, String?)])
    func script(_ text: String, _ interpreter: String?) {
        #expect(Interpreter(Array(text.utf8))?.path == interpreter)
    }

    @Test("the loader is read from the program header, also of a file with hostile offsets")
    func loader() {
        #expect(Interpreter(Self.elf(loader: "/lib/ld.so"))?.path == "/lib/ld.so")
        #expect(Interpreter(Self.elf(loader: "/lib/ld.so", table: .max)) == nil)
        #expect(Interpreter(Self.elf(loader: "/lib/ld.so", table: UInt64(Int.max))) == nil)
        #expect(Interpreter(Self.elf(loader: "/lib/ld.so", entrySize: 0)) == nil)
        #expect(Interpreter(Self.elf(loader: "/lib/ld.so", nameOffset: 1 << 62)) == nil)
        #expect(Interpreter(Array(Self.elf(loader: "/lib/ld.so").prefix(80))) == nil)
    }

    private func make(_ files: [String: [UInt8]]) throws -> TemporaryDirectory {
        let root = try TemporaryDirectory()
        for (name, contents) in files {
            let path = "\(root.path)/\(name)"
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent,
                withIntermediateDirectories: true)
            try Data(contents).write(to: URL(filePath: path))
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        return root
    }

    private func missing(_ path: String, _ root: TemporaryDirectory, mounts: [String] = [])
        -> String
    {
        ProgramFile(
            path, in: ImageView(path: root.path, mounts: mounts), call: "execve", errno: ENOENT
        ).reason ?? ""
    }

    @Test("a missing interpreter is named, and also the missing interpreter of an interpreter")
    func missingInterpreter() throws {
        let root = try make([
            "bin/script": Array("#!/bin/other\n".utf8), "bin/other": Self.elf(loader: "/lib/none"),
            "bin/first": Array("#!/no/such\n".utf8),
        ])
        #expect(missing("/bin/first", root) == #"the interpreter "/no/such" is missing"#)
        #expect(missing("/bin/script", root) == #"the interpreter "/lib/none" is missing"#)
        // The program itself no longer exists.
        #expect(missing("/bin/none", root) == "")
    }

    @Test("no file is named that a mount of the config covers, or that lies outside of the image")
    func unknown() throws {
        let root = try make(["bin/script": Array("#!/no/such\n".utf8)])
        let vague = "the file, or the interpreter or loader that it asks for"
        #expect(missing("/bin/script", root, mounts: ["/bin"]) == vague)
        #expect(missing("/bin/script", root, mounts: ["/no"]) == vague)
        #expect(missing("/bin/script", root, mounts: ["/binary"]) != vague)
        #expect(missing("bin/script", root) == vague)
        try FileManager.default.createSymbolicLink(
            atPath: "\(root.path)/link", withDestinationPath: "bin")
        #expect(missing("/link/script", root, mounts: ["/bin"]) == vague)
        try FileManager.default.createSymbolicLink(
            atPath: "\(root.path)/out", withDestinationPath: "/etc/passwd")
        #expect(missing("/out", root) == "")
    }

    @Test("a FIFO in place of the program is not waited for")
    func fifo() throws {
        let root = try make(["bin/a": []])
        try #require(mkfifo("\(root.path)/bin/fifo", 0o755) == 0)
        let file = ProgramFile(
            "/bin/fifo", in: ImageView(path: root.path), call: "execve", errno: ENOEXEC)
        #expect(file.reason == nil)
    }

    @Test("a program file of an unknown format is reported as such")
    func format() throws {
        let root = try make([
            "empty": [], "text": Array("echo\n".utf8), "elf": Self.elf(loader: "/lib/x"),
        ])
        func reason(_ path: String) -> String {
            ProgramFile(path, in: ImageView(path: root.path), call: "execve", errno: ENOEXEC)
                .reason ?? ""
        }
        #expect(reason("/empty") == "the file is empty")
        #expect(reason("/text").contains("first line"))
        #expect(reason("/elf").contains("another kind of machine"))
    }
}
