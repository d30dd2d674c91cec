// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Testing

@testable import ContainerKit
@testable import InitProgram

/// A system call that changes the rights of this thread only; the C library's calls change all
/// threads.
private func change(_ call: Int32, _ a: Int, _ b: Int = 0, _ c: Int = 0) throws {
    let result = raw_system_call(Int(call), a, b, c, 0, 0, 0)
    try #require(result == 0, "call \(call) gave \(result)")
}

/// The rights that a host may have when it starts a child.
enum Standing: String, CaseIterable, Sendable, Codable {
    case root, reducedRoot, rootWithoutItsRights, inheritingRoot, user, userWithCapabilities
    case userWithAmbientCapabilities, noNewPrivileges

    func assume() throws {
        let some: UInt64 = 1 << 21 | 1 << 12 | 1 << 10  // SYS_ADMIN, NET_ADMIN, NET_BIND_SERVICE
        switch self {
        case .root: break
        case .reducedRoot: try set(effective: 1 << 21, permitted: some, inheritable: 0)
        case .rootWithoutItsRights:
            // SECBIT_NOROOT
            try change(__NR_prctl, Int(PR_SET_SECUREBITS), 1)
            try set(effective: some, permitted: some, inheritable: 1 << 10)
        case .inheritingRoot: try set(effective: 0, permitted: some, inheritable: 1 << 10)
        case .user: try becomeUser()
        case .userWithCapabilities: try becomeUser(keeping: some)
        case .userWithAmbientCapabilities:
            try becomeUser(keeping: some)
            try set(effective: some, permitted: some, inheritable: 1 << 10 | 1 << 12)
            try change(__NR_prctl, Int(PR_CAP_AMBIENT), Int(PR_CAP_AMBIENT_RAISE), 10)
        case .noNewPrivileges:
            try becomeUser(keeping: some)
            try change(__NR_prctl, Int(PR_SET_NO_NEW_PRIVS), 1)
        }
    }

    private func becomeUser(keeping mask: UInt64? = nil) throws {
        if mask != nil { try change(__NR_prctl, Int(PR_SET_KEEPCAPS), 1) }
        try change(__NR_setresgid, 1000, 1000, 1000)
        try change(__NR_setresuid, 1000, 1000, 1000)
        if let mask { try set(effective: mask, permitted: mask, inheritable: 0) }
    }

    private func set(effective: UInt64, permitted: UInt64, inheritable: UInt64) throws {
        func half(_ mask: UInt64, _ shift: UInt64) -> UInt32 {
            UInt32(truncatingIfNeeded: mask >> shift)
        }
        let sets = [effective, permitted, inheritable]
        var header: [UInt32] = [0x2008_0522, 0]
        var words = sets.map { half($0, 0) } + sets.map { half($0, 32) }
        try header.withUnsafeMutableBytes { header in
            try words.withUnsafeMutableBytes { words in
                try change(
                    __NR_capset, Int(bitPattern: header.baseAddress),
                    Int(bitPattern: words.baseAddress))
            }
        }
    }
}

@Suite("The rights of a child that is born empty", .enabled(if: geteuid() == 0, "needs root"))
struct CallerRightsTests {
    /// The lines of a /proc/PID/status file that show rights.
    private static func rights(_ status: String) -> [Substring] {
        status.split(separator: "\n").filter {
            $0.hasPrefix("Cap") || $0.hasPrefix("Uid") || $0.hasPrefix("Gid")
                || $0.hasPrefix("Groups") || $0.hasPrefix("NoNewPrivs")
        }
    }

    @Test(
        "a child that is born empty has exactly the rights of its host",
        arguments: Standing.allCases)
    func carried(_ standing: Standing) async {
        await #expect(processExitsWith: .success) { [standing] in
            try standing.assume()
            let done = try runInChild { code, output in
                let file = code.cell("status")
                let count = code.cell("count")
                let buffer = code.reserve(8192)
                code.call(
                    .openat,
                    [.literal(-100), code.text("/proc/self/status"), .literal(0), .literal(0)],
                    into: file)
                code.call(.read, [.cell(file), .address(buffer), .literal(8192)], into: count)
                code.call(.write, [output, .address(buffer), .cell(count)])
                code.exit(0)
            }
            let own = String(decoding: try readFile("/proc/thread-self/status"), as: UTF8.self)
            #expect(CallerRightsTests.rights(done.text) == CallerRightsTests.rights(own))
            exit(0)
        }
    }

    @Test("a host with a different saved user id starts copies of itself, which keep it")
    func savedUser() async {
        await #expect(processExitsWith: .success) {
            try change(__NR_setresuid, 1000, 1000, 0)
            #expect(CallerRights.ofThisThread() == nil)
            exit(0)
        }
    }

    @Test("a host whose rights cannot pass through exec starts a copy of itself")
    func uncarriable() async {
        await #expect(processExitsWith: .success) {
            // SYS_ADMIN is permitted, but no longer in the bounding set.
            try change(__NR_prctl, Int(PR_CAPBSET_DROP), 21)
            var code = Assembler()
            code.exit(3)
            let child = try ChildStart(inputs: [:], try ProgressPage.inMemory()).start(code.image)
            #expect(child.refused?.call == "capset")
            #expect(try waitProcess(child.pidfd) == .exited(3))
            exit(0)
        }
    }
}
