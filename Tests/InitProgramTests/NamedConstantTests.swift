// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Testing

@testable import InitProgram

/// The lowering names its constants for the reader; what it says must be what the headers say.
@Suite("Named constants")
struct NamedConstantTests {
    static let header: [String: Int] = [
        "AT_FDCWD": Int(CLINUX_AT_FDCWD), "AT_EMPTY_PATH": Int(CLINUX_AT_EMPTY_PATH),
        "AT_RECURSIVE": Int(CLINUX_AT_RECURSIVE), "AT_EACCESS": Int(CLINUX_AT_EACCESS),
        "AT_SYMLINK_NOFOLLOW": Int(CLINUX_AT_SYMLINK_NOFOLLOW), "X_OK": Int(X_OK),
        "O_WRONLY": Int(O_WRONLY), "O_RDWR": Int(O_RDWR), "O_NOCTTY": Int(O_NOCTTY),
        "O_CLOEXEC": Int(O_CLOEXEC), "O_DIRECTORY": Int(O_DIRECTORY),
        "O_NOFOLLOW": Int(O_NOFOLLOW), "O_PATH": 0o10_000_000, "F_SETFD": Int(F_SETFD),
        "F_DUPFD_CLOEXEC": 1030, "FUTEX_WAIT": Int(FUTEX_WAIT),
        "AF_INET": Int(AF_INET), "SOCK_DGRAM": Int(SOCK_DGRAM.rawValue),
        "SOCK_CLOEXEC": Int(SOCK_CLOEXEC.rawValue), "SIOCSIFFLAGS": Int(SIOCSIFFLAGS),
        "S_IFREG": Int(S_IFREG), "SIG_SETMASK": Int(SIG_SETMASK),
        "STATX_BASIC_STATS": Int(CLinux.STATX_BASIC_STATS), "MNT_DETACH": Int(MNT_DETACH),
        "UMOUNT_NOFOLLOW": Int(UMOUNT_NOFOLLOW), "AF_NETLINK": Int(AF_NETLINK),
        "SOCK_RAW": Int(SOCK_RAW.rawValue), "NETLINK_ROUTE": 0,
        "MS_REC": 1 << 14, "MS_PRIVATE": 1 << 18, "MS_SLAVE": 1 << 19,
        "TCSETS": Int(TCSETS), "TIOCSWINSZ": Int(TIOCSWINSZ), "TIOCSCTTY": Int(TIOCSCTTY),
        "TIOCSPTLCK": Int(clinux_tiocsptlck), "TIOCGPTPEER": Int(clinux_tiocgptpeer),
        "CLONE_NEWUSER": Int(CLONE_NEWUSER), "CLONE_NEWPID": Int(CLONE_NEWPID),
        "CLONE_NEWNET": Int(CLONE_NEWNET), "CLONE_NEWIPC": Int(CLONE_NEWIPC),
        "CLONE_NEWUTS": Int(CLONE_NEWUTS), "CLONE_NEWNS": Int(CLONE_NEWNS),
        "CLONE_NEWCGROUP": Int(CLONE_NEWCGROUP), "CLONE_NEWTIME": Int(clinux_clone_newtime),
        "OPEN_TREE_CLONE": Int(OPEN_TREE_CLONE), "OPEN_TREE_CLOEXEC": Int(O_CLOEXEC),
        "MOVE_MOUNT_F_EMPTY_PATH": Int(MOVE_MOUNT_F_EMPTY_PATH),
        "MOVE_MOUNT_T_EMPTY_PATH": Int(MOVE_MOUNT_T_EMPTY_PATH),
        "FSOPEN_CLOEXEC": Int(FSOPEN_CLOEXEC), "FSMOUNT_CLOEXEC": Int(FSMOUNT_CLOEXEC),
        "FSCONFIG_SET_FLAG": Int(FSCONFIG_SET_FLAG.rawValue),
        "FSCONFIG_SET_STRING": Int(FSCONFIG_SET_STRING.rawValue),
        "FSCONFIG_CMD_CREATE": Int(FSCONFIG_CMD_CREATE.rawValue),
        "PR_SET_DUMPABLE": Int(PR_SET_DUMPABLE), "PR_SET_KEEPCAPS": Int(PR_SET_KEEPCAPS),
        "PR_CAPBSET_DROP": Int(PR_CAPBSET_DROP), "PR_CAP_AMBIENT": Int(PR_CAP_AMBIENT),
        "KEYCTL_JOIN_SESSION_KEYRING": Int(KEYCTL_JOIN_SESSION_KEYRING),
        "KEYCTL_SETPERM": Int(KEYCTL_SETPERM),
        "PR_CAP_AMBIENT_RAISE": Int(PR_CAP_AMBIENT_RAISE),
        "PR_SET_NO_NEW_PRIVS": Int(PR_SET_NO_NEW_PRIVS),
        "SIGCHLD": Int(SIGCHLD), "P_PID": Int(P_PID.rawValue), "WEXITED": Int(WEXITED),
        "__WALL": 0x4000_0000, "RLIMIT_NOFILE": Int(RLIMIT_NOFILE.rawValue),
        "SECCOMP_SET_MODE_FILTER": Int(SECCOMP_SET_MODE_FILTER),
        "IOPRIO_WHO_PROCESS": 1, "SFD_CLOEXEC": Int(O_CLOEXEC), "EFD_CLOEXEC": Int(O_CLOEXEC),
        "S_IFCHR": Int(S_IFCHR), "F_SETFL": Int(F_SETFL), "MPOL_BIND": Int(MPOL_BIND),
        "PER_LINUX32": Int(PER_LINUX32),
    ]

    @Test("a named constant has the header's value", arguments: everyInitStep)
    func values(_ step: InitStep) throws {
        for case .call(let call, let operands, _, _, _) in ProgramImage(of: step).instructions {
            for case .named(let value, let name) in operands {
                var expected = 0
                for part in name.split(separator: "|").map(String.init) {
                    if part.hasPrefix("0") {
                        expected |= try #require(Int(part, radix: 8))
                    } else {
                        let known = Self.header[part]
                        expected |= try #require(known, "\(part) is in no header of this test")
                    }
                }
                #expect(value == expected, "\(name) of \(call.name)")
            }
        }
    }

    @Test(
        "prctl gets its numbers, and zero for what it does not use",
        arguments: [
            (.forbidPtrace, [Int(PR_SET_DUMPABLE), 0, 0, 0, 0]),
            (.permitPtrace, [Int(PR_SET_DUMPABLE), 1, 0, 0, 0]),
            (.keepCapabilities, [Int(PR_SET_KEEPCAPS), 1, 0, 0, 0]),
            (.forbidNewPrivileges, [Int(PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0]),
            (
                .setAmbientCapabilities(0),
                [Int(PR_CAP_AMBIENT), Int(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0]
            ),
        ] as [(InitStep, [Int])])
    func prctls(_ step: InitStep, _ expected: [Int]) {
        #expect(ProgramImage(of: step).operands(of: "prctl").map { $0.map(\.value) } == [expected])
    }

    @Test("the bounding set loses each capability that is not kept, once")
    func boundingSet() {
        let image = ProgramImage(of: .limitBoundingSet(keeping: 0b1010, last: 5))
        #expect(image.operands(of: "prctl").map { $0[1].value } == [0, 2, 4, 5])
    }

    @Test("of the capabilities that a kernel may not know, the first that it does not ends the run")
    func unknownCapabilities() {
        func skips(last: Int) -> Int {
            let image = ProgramImage(of: .limitBoundingSet(keeping: 0, last: last))
            return image.instructions.count { if case .skip = $0 { true } else { false } }
        }
        #expect(skips(last: 40) == 0)
        #expect(skips(last: 63) == 23)
    }

    @Test("the ambient set is cleared first, then raised one by one")
    func ambientSet() {
        let image = ProgramImage(of: .setAmbientCapabilities(1 << 3 | 1 << 40))
        let calls = image.operands(of: "prctl").map { $0.map(\.value) }
        let ambient = Int(PR_CAP_AMBIENT)
        let raise = Int(PR_CAP_AMBIENT_RAISE)
        #expect(
            calls == [
                [ambient, Int(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0],
                [ambient, raise, 3, 0, 0], [ambient, raise, 40, 0, 0],
            ])
    }
}
