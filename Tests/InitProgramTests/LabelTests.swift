// SPDX-License-Identifier: Apache-2.0

import CLinux
import Testing

@testable import InitProgram

@Suite("Labels of security modules")
struct LabelTests {
    private let labels = [
        SecurityLabel(file: "attr/keycreate", text: "u:r:t:s0", purpose: "a"),
        SecurityLabel(file: "attr/exec", text: "u:r:t:s0:c1,c2", purpose: "b"),
    ]

    @Test("a label is written unchanged to its file below the host's procfs")
    func writes() throws {
        let image = ProgramImage(of: .label(.setSecurityLabels(labels)))
        let opened = image.operands(of: "openat2")
        try #require(opened.count == 2)
        for (operands, file) in zip(opened, ["self/attr/keycreate", "self/attr/exec"]) {
            #expect(image.text(operands[1]) == file)
            let how = try image.structure(at: operands[2], as: open_how.self)
            #expect(how.flags == 0o2_000_001, "O_WRONLY and O_CLOEXEC")
            #expect(
                how.resolve
                    == UInt64(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV))
        }
        let texts = image.operands(of: "write").map { Array($0.dropFirst()) }
        try #require(texts.count == 2)
        for (operands, label) in zip(texts, labels) {
            #expect(image.text(operands[0]) == label.text)
            #expect(operands[1] == .literal(label.text.utf8.count))
        }
    }

    @Test("a label is written only if procfs is mounted on /proc")
    func verified() {
        for step in [InitStep.label(.openHostProc), .label(.setSecurityLabels(labels))] {
            let image = ProgramImage(of: step)
            #expect(image.memoryTests.map(\.value) == [0x9fa0])
        }
    }

    @Test("a label step reuses the host's procfs that an earlier step opened")
    func openedBefore() {
        let image = ProgramImage(lowering: [
            .label(.openHostProc), .label(.setSecurityLabels(labels)), ProgramImage.end,
        ])
        let paths = image.instructions.compactMap { instruction in
            if case .call(let call, let operands, _, _, _) = instruction, call.name == "openat",
                let path = image.text(operands[1])
            {
                return path
            }
            return nil
        }
        #expect(paths == ["/proc"])
    }

    @Test("the mqueue file system gets its label by an xattr on its mounted root")
    func rootLabel() throws {
        let image = ProgramImage(
            of: .mount(
                .mountFilesystem(
                    FilesystemMount(
                        type: "mqueue", source: "mqueue", destination: "/dev/mqueue",
                        rootLabel: "u:o:t"
                    ))))
        let operands = try #require(image.operands(of: "fsetxattr").first)
        #expect(image.text(operands[1]) == "security.selinux")
        #expect(image.text(operands[2]) == "u:o:t")
        #expect(operands[3] == .literal(5) && operands[4] == .literal(0))
    }
}
