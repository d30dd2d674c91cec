// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Seccomp", Host.root)
struct SeccompTests {
    private func profile(_ rules: SeccompRule...) -> Seccomp {
        Seccomp(defaultAction: .allow, syscalls: rules)
    }

    private let makingDirectories = ["mkdir", "mkdirat"]

    @Test("SCMP_ACT_ERRNO makes the call fail, with EPERM or errnoRet", arguments: [true, false])
    func errno(_ noNewPrivileges: Bool) throws {
        try TestBundle.use { bundle throws in
            bundle.process.noNewPrivileges = noNewPrivileges
            bundle.linux.seccomp = profile(
                SeccompRule(names: makingDirectories, action: .errno),
                SeccompRule(names: ["symlink", "symlinkat"], action: .errno, errnoRet: 28))
            let text = try bundle.output(
                of: """
                    mkdir /tmp/x 2>&1; ln -s a /tmp/y 2>&1; ls -A /tmp
                    grep -E '^Seccomp:|NoNewPrivs' /proc/self/status
                    """)
            #expect(text.contains("/tmp/x': Operation not permitted"))
            #expect(text.contains("/tmp/y: No space left on device"))
            #expect(text.value(of: "Seccomp:") == "2")
            #expect(text.value(of: "NoNewPrivs:") == (noNewPrivileges ? "1" : "0"))
        }
    }

    @Test("a user without capabilities gets the seccomp filter as well", arguments: [true, false])
    func otherUser(_ noNewPrivileges: Bool) throws {
        try TestBundle.use { bundle throws in
            bundle.process.noNewPrivileges = noNewPrivileges
            bundle.process.user = User(uid: 1000, gid: 1000)
            bundle.process.capabilities = nil
            bundle.linux.seccomp = profile(SeccompRule(names: makingDirectories, action: .errno))
            let text = try bundle.output(
                of: "mkdir /tmp/x 2>&1; grep -E '^Seccomp:|Cap' /proc/self/status; id -u")
            #expect(text.contains("Operation not permitted") && text.lines.last == "1000")
            #expect(text.value(of: "Seccomp:") == "2")
            for key in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
                #expect(text.value(of: key) == "0000000000000000", "\(key)")
            }
        }
    }

    @Test(
        "SCMP_ACT_KILL and SCMP_ACT_TRAP end the process with SIGSYS",
        arguments: [Seccomp.Action.kill, .killProcess, .killThread, .trap])
    func kill(_ action: Seccomp.Action) throws {
        try TestBundle.use { bundle throws in
            bundle.linux.seccomp = profile(SeccompRule(names: makingDirectories, action: action))
            bundle.process.args = ["mkdir", "/tmp/x"]
            #expect(try bundle.run().status == 128 + SIGSYS)
            #expect(!exists("\(bundle.rootfs)/tmp/x"))
        }
    }

    @Test("a seccomp rule with arguments applies only to calls with these arguments")
    func arguments() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.seccomp = profile(
                SeccompRule(
                    names: ["chmod"], action: .errno,
                    args: [SeccompArgument(index: 1, value: 0o777, op: .equal)]),
                SeccompRule(
                    names: ["fchmodat", "fchmodat2"], action: .errno,
                    args: [SeccompArgument(index: 2, value: 0o777, op: .equal)]))
            let text = try bundle.output(
                of: """
                    touch /tmp/x; chmod 700 /tmp/x && stat -c %a /tmp/x
                    chmod 777 /tmp/x 2>&1; stat -c %a /tmp/x
                    """)
            #expect(text.lines.first == "700" && text.lines.last == "700")
            #expect(text.contains("Operation not permitted"))
        }
    }

    @Test("defaultAction errno with defaultErrnoRet refuses every call that is not listed")
    func allowList() throws {
        try TestBundle.use { bundle throws in
            let allowed = [
                "execve", "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq",
                "prlimit64", "readlink", "readlinkat", "getrandom", "mprotect", "mmap", "munmap",
                "exit_group", "uname", "fstat", "newfstatat", "ioctl", "write", "writev", "getuid",
                "geteuid", "getgid", "getegid", "setuid", "setgid", "umask", "close", "fcntl",
                "futex", "prctl", "lseek",
            ]
            bundle.linux.seccomp = Seccomp(
                defaultAction: .errno, defaultErrnoRet: 38,
                syscalls: [SeccompRule(names: allowed, action: .allow)])
            bundle.process.args = ["mkdir", "/tmp/x"]
            let done = try bundle.run()
            #expect(done.status == 1 && done.error.contains("Function not implemented"), "\(done)")
        }
    }

    @Test("SCMP_ACT_LOG lets the call through; unknown system calls are skipped")
    func log() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.seccomp = profile(
                SeccompRule(names: makingDirectories, action: .log),
                SeccompRule(names: ["no_such_call_of_any_kernel"], action: .errno))
            #expect(try bundle.output(of: "mkdir /tmp/x && ls -d /tmp/x") == "/tmp/x")
        }
    }

    @Test("exec gets the container's seccomp filter")
    func exec() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.seccomp = profile(SeccompRule(names: makingDirectories, action: .errno))
            try bundle.startSleeping()
            let done = try bundle.swrunc("exec", bundle.id, "mkdir", "/tmp/x")
            #expect(done.status == 1 && done.error.contains("Operation not permitted"), "\(done)")
        }
    }

    @Test("a long seccomp profile is compiled once for all containers of a store; list hides it")
    func cachedFilter() throws {
        try TestBundle.use { bundle throws in
            let names = (1...40).map { "call_of_tomorrow_\($0)" } + ["mkdir", "mkdirat"]
            bundle.linux.seccomp = Seccomp(
                defaultAction: .allow,
                syscalls: [SeccompRule(names: names, action: .errno, errnoRet: 28)])
            bundle.script("mkdir /tmp/x")
            // The first container creates the store.
            for _ in 0..<3 {
                let done = try bundle.run()
                #expect(done.error.contains("No space left on device"), "\(done)")
            }
            let kept = entries(of: bundle.store)
            #expect(kept.count == 1 && kept[0].hasPrefix("@seccomp-"), "\(kept)")
            // runc may share the store and treats each directory in it as a container.
            var status = Glibc.stat()
            #expect(lstat("\(bundle.store)/\(kept[0])", &status) == 0)
            #expect(status.st_mode & S_IFMT == S_IFREG)
            let list = try bundle.swrunc("list", "-q")
            #expect(list.text == "" && list.error == "", "\(list)")
        }
    }
}
