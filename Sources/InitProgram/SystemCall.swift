// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux

/// A system call: its number for the kernel and its name for a reader.
package struct SystemCall: Equatable, Sendable {
    /// The number on this architecture.
    ///
    /// Source: asm/unistd.h.
    package let number: Int32
    private let staticName: StaticString

    /// The name of the manual page.
    package var name: String { staticName.description }

    init(_ name: StaticString, _ number: Int32) {
        staticName = name
        self.number = number
    }

    /// No call.
    static var none: SystemCall { SystemCall("", -1) }

    // The number says which call it is.
    package static func == (one: SystemCall, other: SystemCall) -> Bool {
        one.number == other.number
    }

    static func == (one: SystemCall, other: Int32) -> Bool { one.number == other }

    // Those of several themes; what one theme alone calls stands in its file.

    static var clone: SystemCall { SystemCall("clone", __NR_clone) }
    static var clone3: SystemCall { SystemCall("clone3", __NR_clone3) }
    static var close: SystemCall { SystemCall("close", __NR_close) }
    static var closeRange: SystemCall { SystemCall("close_range", __NR_close_range) }
    static var dup3: SystemCall { SystemCall("dup3", __NR_dup3) }
    static var eventfd2: SystemCall { SystemCall("eventfd2", __NR_eventfd2) }
    static var execve: SystemCall { SystemCall("execve", __NR_execve) }
    static var exitGroup: SystemCall { SystemCall("exit_group", __NR_exit_group) }
    static var faccessat2: SystemCall { SystemCall("faccessat2", __NR_faccessat2) }
    static var fchdir: SystemCall { SystemCall("fchdir", __NR_fchdir) }
    static var fcntl: SystemCall { SystemCall("fcntl", __NR_fcntl) }
    static var fsconfig: SystemCall { SystemCall("fsconfig", __NR_fsconfig) }
    static var fsetxattr: SystemCall { SystemCall("fsetxattr", __NR_fsetxattr) }
    static var fsmount: SystemCall { SystemCall("fsmount", __NR_fsmount) }
    static var fsopen: SystemCall { SystemCall("fsopen", __NR_fsopen) }
    static var fstatfs: SystemCall { SystemCall("fstatfs", __NR_fstatfs) }
    static var futex: SystemCall { SystemCall("futex", __NR_futex) }
    static var getppid: SystemCall { SystemCall("getppid", __NR_getppid) }
    static var getpid: SystemCall { SystemCall("getpid", __NR_getpid) }
    static var ioctl: SystemCall { SystemCall("ioctl", __NR_ioctl) }
    static var mkdirat: SystemCall { SystemCall("mkdirat", __NR_mkdirat) }
    static var mknodat: SystemCall { SystemCall("mknodat", __NR_mknodat) }
    static var mount: SystemCall { SystemCall("mount", __NR_mount) }
    static var mountSetattr: SystemCall { SystemCall("mount_setattr", __NR_mount_setattr) }
    static var moveMount: SystemCall { SystemCall("move_mount", __NR_move_mount) }
    static var openat: SystemCall { SystemCall("openat", __NR_openat) }
    static var openat2: SystemCall { SystemCall("openat2", __NR_openat2) }
    static var openTree: SystemCall { SystemCall("open_tree", __NR_open_tree) }
    static var ppoll: SystemCall { SystemCall("ppoll", __NR_ppoll) }
    static var prctl: SystemCall { SystemCall("prctl", __NR_prctl) }
    static var read: SystemCall { SystemCall("read", __NR_read) }
    static var recvmsg: SystemCall { SystemCall("recvmsg", __NR_recvmsg) }
    static var rtSigaction: SystemCall { SystemCall("rt_sigaction", __NR_rt_sigaction) }
    static var sendmsg: SystemCall { SystemCall("sendmsg", __NR_sendmsg) }
    static var setgid: SystemCall { SystemCall("setgid", __NR_setgid) }
    static var setuid: SystemCall { SystemCall("setuid", __NR_setuid) }
    static var statx: SystemCall { SystemCall("statx", __NR_statx) }
    static var symlinkat: SystemCall { SystemCall("symlinkat", __NR_symlinkat) }
    static var umount2: SystemCall { SystemCall("umount2", __NR_umount2) }
    static var write: SystemCall { SystemCall("write", __NR_write) }
}
#endif
