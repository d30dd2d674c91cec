// SPDX-License-Identifier: Apache-2.0

import KernelVocabulary
import SystemPackage
import Testing

@testable import InitProgram

@Suite("Steps and instructions as text")
struct ExplanationTests {
    @Test("an instruction prints as a person would write it")
    func instructions() {
        var code = Assembler()
        let file = code.cell("file")
        let memory = code.reserve(16)
        code.call(
            .openat, [.named(DirectoryDescriptor.current), code.text("/a"), .literal(0)], into: file
        )
        code.call(
            .mkdirat, [.cell(file), .cellAddress(file), .progress(8)],
            ignoring: [.fileExists, .noSuchFileOrDirectory])
        code.copy(file, to: memory, width: 4)
        let labels = [
            code.skip(when: .isNegative(file)), code.skip(when: .isNotNegative(file)),
            code.skip(when: .equals(file, 3)),
            code.skip(when: .memory(memory, mask: 0xf000, value: 0x4000)),
            code.skip(when: .always),
        ]
        code.refuse("it is not so")
        for label in labels { code.place(label) }
        code.call(.exitGroup, [.literal(0)])
        let image = code.image
        #expect(
            image.instructions.indices.map(image.rendered) == [
                #"openat(AT_FDCWD, "/a", 0) -> $file"#,
                "mkdirat($file, &$file, progress) unless EEXIST, ENOENT",
                "copy $file into memory (4 bytes)",
                "skip 5 if $file failed",
                "skip 4 if $file succeeded",
                "skip 3 if $file is 3",
                "skip 2 if memory & 0xf000 is 0x4000",
                "skip 1 if always",
                "stop: it is not so",
                "exit_group(0)",
            ])
    }

    @Test("the arguments in an error show texts, names and numbers, but no addresses")
    func arguments() {
        var code = Assembler()
        let file = code.cell("file")
        let operands: [Operand] = [
            .cell(file), code.text("proc"), code.text(""), .address(0), .literal(0), .literal(24),
            .named(AccessMode.execute),
        ]
        code.call(.openat2, operands)
        #expect(code.image.renderedArguments(operands) == #"$file, "proc", 24, X_OK"#)
    }

    @Test("namespaces print in one fixed order")
    func namespaceOrder() {
        let all: NamespaceSet = [.time, .cgroup, .mount, .uts, .ipc, .network, .pid, .user]
        #expect(
            InitStep.namespace(.unshareNamespaces(all)).sentence
                == "enter new namespaces: user, pid, network, ipc, uts, mount, cgroup, time")
        #expect(InitStep.namespace(.unshareNamespaces([])).sentence == "enter new namespaces: none")
    }
}
