// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import KernelVocabulary
import Testing

@testable import ContainerKit

@Suite("The process that keeps a scope")
struct ScopeKeeperTests {
    /// The children of this process.
    private static func children() throws -> [Int32] {
        try words(of: readFile("/proc/self/task/\(getpid())/children")).compactMap { Int32($0) }
    }

    @Test("the process ends with its owner")
    func ends() throws {
        let keeper = try ScopeKeeper()
        let process = try openProcess(keeper.pid)
        var entries = [PollEntry(process.number, .readable)]
        #expect(try poll(&entries, timeoutMilliseconds: 0) == 0)
        keeper.end()
        #expect(try poll(&entries, timeoutMilliseconds: 10_000) == 1)
    }

    @Test("a process that stays is nobody's child, holds nothing open, and ends at SIGTERM")
    func stays() async {
        await #expect(processExitsWith: .success) {
            // In place of process 1, which inherits it.
            let becomeSubreaper = 36
            _ = try systemCall(
                "prctl", __NR_prctl, becomeSubreaper, 1, 0, 0, describing: "subreaper")
            signal(SIGTERM, SIG_IGN)
            let keeper = try ScopeKeeper()
            let former = keeper.pid
            try keeper.stay()
            let children = try Self.children()
            let pid = try #require(children.first)
            #expect(children.count == 1 && pid != former)
            var target = [UInt8](repeating: 0, count: 16)
            #expect(readlink("/proc/\(pid)/cwd", &target, target.count) == 1)
            #expect(getpgid(pid) == pid)
            let process = try openProcess(pid)
            var entries = [PollEntry(process.number, .readable)]
            #expect(try poll(&entries, timeoutMilliseconds: 50) == 0)
            let directory = try openFile("/proc/\(pid)/fd", .readOnly | .directory)
            #expect(try directoryNames(in: directory.number, named: "fd") == [])
            try sendSignal(process.number, SIGTERM)
            #expect(try poll(&entries, timeoutMilliseconds: 10_000) == 1)
            #expect(try waitProcess(process.number) == .signaled(SIGTERM))
            exit(0)
        }
    }
}
