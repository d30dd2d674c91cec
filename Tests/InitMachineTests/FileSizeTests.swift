// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import SystemPackage
import Testing

@testable import ContainerKit
@testable import InitProgram

/// Limits the size of files that this process writes; the hard limit stays.
private func limitFiles(to bytes: rlim_t?) throws {
    // RLIMIT_FSIZE
    var limit = rlimit()
    try #require(getrlimit(__rlimit_resource_t(1), &limit) == 0)
    limit.rlim_cur = bytes ?? limit.rlim_max
    try #require(setrlimit(__rlimit_resource_t(1), &limit) == 0)
}

/// The signals that this thread blocks, and its pending signals.
private func signals() throws -> [String] {
    String(decoding: try readFile("/proc/thread-self/status"), as: UTF8.self)
        .split(separator: "\n").filter {
            ["SigBlk", "SigPnd", "ShdPnd", "SigIgn", "SigCgt"].contains($0.prefix { $0 != ":" })
        }
        .map(String.init)
}

private func exiting() -> ProgramImage {
    var code = Assembler()
    code.exit(3)
    _ = code.reserve(8)
    return code.image
}

@Suite("RLIMIT_FSIZE of the host")
struct FileSizeTests {
    @Test(
        "starting a child above RLIMIT_FSIZE fails with EFBIG and no signal, and works below it"
    )
    func birth() async {
        await #expect(processExitsWith: .success) {
            // SIGXFSZ has its default action here, which ends the process.
            let before = try signals()
            for bytes: rlim_t in [0, 1, 4095] {
                try limitFiles(to: bytes)
                let error = #expect(throws: SystemCallError.self) {
                    try ChildStart(inputs: [:], ProgressPage.inMemory()).start(exiting())
                }
                try limitFiles(to: nil)
                #expect(error?.errno == .fileTooLarge, "\(bytes)")
                #expect(try signals() == before)
            }
            let child = try ChildStart(inputs: [:], ProgressPage.inMemory()).start(exiting())
            #expect(child.refused == nil)
            #expect(try waitProcess(child.pidfd) == .exited(3))
            exit(0)
        }
    }

    @Test("a pending SIGXFSZ of the host stays pending, and the host's signal mask stays as it is")
    func pending() async {
        await #expect(processExitsWith: .success) {
            var set = sigset_t()
            sigemptyset(&set)
            sigaddset(&set, SIGXFSZ)
            pthread_sigmask(SIG_BLOCK, &set, nil)
            pthread_kill(pthread_self(), SIGXFSZ)
            let before = try signals()
            try limitFiles(to: 0)
            let file = try memoryFile("test", for: .data)
            #expect(throws: SystemCallError.self) {
                try writeAll([1], to: file.number, named: "test")
            }
            try limitFiles(to: nil)
            #expect(try signals() == before)
            exit(0)
        }
    }

    @Test("a host that ignores or handles SIGXFSZ gets the same error and no signal")
    func otherActions() async {
        await #expect(processExitsWith: .success) {
            for handler: @convention(c) (CInt) -> Void in [SIG_IGN, { _ in _exit(9) }] {
                signal(SIGXFSZ, handler)
                let file = try memoryFile("test", for: .data)
                try limitFiles(to: 2)
                let error = #expect(throws: SystemCallError.self) {
                    try writeAll([1, 2, 3], to: file.number, named: "test")
                }
                try limitFiles(to: nil)
                #expect(error?.errno == .fileTooLarge)
            }
            exit(0)
        }
    }
}
