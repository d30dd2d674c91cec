// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import SystemPackage
internal import Testing

@testable import ContainerKit

@Suite("Reading whole files")
struct FileReadingTests {
    private let temporary: TemporaryDirectory
    private var directory: String { temporary.path }

    init() throws {
        temporary = try TemporaryDirectory()
    }

    @Test(
        "a file is read completely or refused as too large, never truncated",
        arguments: [0, 99, 100, 101])
    func limit(_ count: Int) throws {
        let path = "\(directory)/file"
        #expect(
            FileManager.default.createFile(atPath: path, contents: Data(repeating: 7, count: count))
        )
        guard count > 100 else {
            #expect(try readFile(path, limitBytes: 100).count == count)
            return
        }
        let error = #expect(throws: SystemCallError.self) {
            try readFile(path, limitBytes: 100)
        }
        #expect(error?.errno == .fileTooLarge)
        #expect(error?.description.contains("more than 100 bytes") == true)
    }

    @Test("a FIFO without a writer reads as empty, and is not waited for", .timeLimit(.minutes(1)))
    func fifo() throws {
        let path = "\(directory)/fifo"
        #expect(mkfifo(path, 0o600) == 0)
        #expect(try readFile(path) == [])
    }
}
