// SPDX-License-Identifier: Apache-2.0

import Foundation
import SystemPackage
import Testing

@testable import ContainerKit

@Suite("Files in memory")
struct MemoryFileTests {
    @Test(
        "the permission to execute a file is known without executing it", arguments: [true, false])
    func executePermission(_ isExecutable: Bool) throws {
        let file = try memoryFile("program", for: .execution)
        #expect(fchmod(file.number, isExecutable ? 0o700 : 0o600) == 0)
        do throws(SystemCallError) {
            try checkExecutePermission(of: file.number)
            #expect(isExecutable)
        } catch {
            #expect(!isExecutable && error.errno == .permissionDenied, "\(error)")
        }
    }
}
