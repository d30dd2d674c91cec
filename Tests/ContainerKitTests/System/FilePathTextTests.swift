// SPDX-License-Identifier: Apache-2.0

import SystemPackage
import Testing

@testable import ContainerKit

@Suite("Path text")
struct FilePathTextTests {
    @Test(
        "the text of a path equals FilePath's string, with invalid UTF-8 repaired",
        arguments: [[], [0x2f], [0x61, 0x2f, 0xc3, 0xa4], [0x2f, 0xff, 0x62], [0xc3]] as [[UInt8]])
    func asTheLibrary(_ bytes: [UInt8]) {
        let path = FilePath(platformString: (bytes + [0]).map { CChar(bitPattern: $0) })
        #expect(path.text == path.string)
        #expect(Array(path.text.utf8) == Array(path.string.utf8))
    }
}
