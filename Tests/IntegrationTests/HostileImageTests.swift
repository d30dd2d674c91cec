// SPDX-License-Identifier: Apache-2.0

import CLinux
import ContainerKit
import Glibc
import SystemPackage
import Testing

/// A host program without precautions, and containers that attack its executable (CVE-2019-5736):
/// the process of these tests is the host.
@Suite("Containers that attack the host's executable", Host.root)
struct HostileImageTests {
    /// The unchanged host's executable: it has been neither written to nor replaced.
    private struct Executable: Equatable {
        var values: [Int] = []
        var head: [UInt8]

        init() throws {
            var status = stat()
            try check(stat("/proc/self/exe", &status), "stat")
            values = [
                Int(status.st_ino), Int(status.st_size), status.st_mtim.tv_sec,
                status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
                Int(status.st_mode),
            ]
            let file = try check(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "open")
            defer { close(file) }
            head = [UInt8](repeating: 0, count: 4096)
            _ = read(file, &head, head.count)
        }
    }

    private func run(_ bundle: TestBundle) throws -> (
        status: ContainerKit.ExitStatus, output: String
    ) {
        let pipe = try makePipe()
        defer { close(pipe.reader) }
        var options = LaunchOptions()
        options.io = .descriptors(input: 0, output: pipe.writer, error: pipe.writer)
        let process: ContainerProcess
        do {
            defer { close(pipe.writer) }
            process = try Container.run(
                bundle.id, from: bundle.loaded(), in: bundle.containerStore, options: options)
        }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = read(pipe.reader, &buffer, buffer.count), count > 0 {
            text += buffer.prefix(count)
        }
        let status = try process.wait()
        try bundle.containerStore.container(bundle.id).delete()
        return (status, String(decoding: text, as: UTF8.self))
    }

    @Test(
        "an entry point that leads to /proc/self/exe runs nothing, whatever loader the image has",
        arguments: ["/proc/self/exe", "/script", "/link"])
    func entryPoint(_ path: String) throws {
        try TestBundle.use { bundle throws in
            let before = try Executable()
            try writeText("#!/proc/self/exe\n", to: "\(bundle.rootfs)/script", mode: 0o755)
            try check(symlink("/proc/self/exe", "\(bundle.rootfs)/link"), "symlink")
            // The loader that the host's own executable names: here it would report that it runs.
            for loader in ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"] {
                let folder = "\(bundle.rootfs)/\(loader.split(separator: "/")[0])"
                try makeDirectory(folder)
                try copyFile(Host.busybox, to: bundle.rootfs + loader)
            }
            bundle.process.args = [path, "echo", "it runs"]
            let done = try run(bundle)
            #expect(done.status == .exited(127) && done.output == "", "\(done)")
            #expect(try Executable() == before)
        }
    }

    /// Opens the machine's file as soon as it sees a process that runs it, and tries many ways to
    /// change the file when no process runs it any more; prints what succeeded.
    private static let attack = """
        while [ ! -e /tmp/opened ]; do
            for p in /proc/[0-9]*; do
                case $(readlink $p/exe) in */memfd:init*) ;; *) continue ;; esac
                if (: <$p/exe); then exec 3<$p/exe; touch /tmp/opened; break; fi
            done
        done 2>/dev/null
        cat /proc/self/fd/3 >/tmp/first
        while [ ! -e /tmp/over ]; do sleep 0.01; done
        for round in 1 2 3; do
            echo bad >/proc/self/fd/3 && echo truncated
            echo bad >>/proc/self/fd/3 && echo appended
            echo bad 1<>/proc/self/fd/3 && echo written
            dd if=/bin/busybox of=/proc/self/fd/3 conv=notrunc count=1 && echo copied
            cp /bin/busybox /proc/self/fd/3 && echo replaced
        done 2>/dev/null >/tmp/said
        cat /proc/self/fd/3 >/tmp/second
        touch /tmp/done
        """

    @Test("a container that opens the executable of a joining process cannot change the host's")
    func joiningProcess() throws {
        try TestBundle.use { bundle throws in
            let before = try Executable()
            let runtime = try readBytes(Host.runtime)
            // All rights that allow inspecting other processes.
            bundle.script(Self.attack)
            let powers = ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL"]
            bundle.process.capabilities = Capabilities(
                bounding: powers, effective: powers, permitted: powers)
            let store = bundle.containerStore
            let attacker = try Container.create(bundle.id, from: bundle.loaded(), in: store)
            try attacker.start()
            let pid = try attacker.state().pid
            // Its init waits in the attacker's pid namespace as long as the attack needs.
            bundle.setNamespace(.pid, path: "/proc/\(pid)/ns/pid")
            bundle.process.args = ["/bin/true"]
            let other = "\(bundle.id)-joins"
            let joined = try Container.create(other, from: bundle.loaded(), in: store)
            let opened = waits(10) { exists("\(bundle.rootfs)/tmp/opened") }
            #expect(opened, "the attacker has not even opened it")
            let joinedPid = try joined.state().pid
            let own = try readBytes("/proc/\(joinedPid)/exe")
            try joined.start()
            _ = waits { (try? joined.state().status) == .stopped }
            try writeText("", to: "\(bundle.rootfs)/tmp/over")
            if opened {
                #expect(waits { exists("\(bundle.rootfs)/tmp/done") })
                #expect(try readText("\(bundle.rootfs)/tmp/said") == "")
                for name in ["first", "second"] {
                    #expect(try readBytes("\(bundle.rootfs)/tmp/\(name)") == own)
                }
            }
            // The attacker's pid namespace does not end while one of its processes is a zombie.
            waitpid(pid_t(joinedPid), nil, 0)
            try joined.delete(force: true)
            // It ends by itself, unless the attack has failed.
            try? attacker.kill(.kill)
            waitpid(pid_t(pid), nil, 0)
            try attacker.delete()
            #expect(try Executable() == before)
            #expect(try readBytes(Host.runtime) == runtime)
        }
    }

    @Test(
        "the host's root cannot change an executable that is held by an O_PATH descriptor"
    )
    func pathDescriptor() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/true"]
            let container = try Container.create(
                bundle.id, from: bundle.loaded(), in: bundle.containerStore)
            let pid = try container.state().pid
            let content = try readBytes("/proc/\(pid)/exe")
            // O_PATH
            let held = [O_RDONLY, 0o10_000_000].map { open("/proc/\(pid)/exe", $0 | O_CLOEXEC) }
            defer { for file in held { close(file) } }
            #expect(held.allSatisfy { $0 >= 0 })
            try container.start()
            #expect(waits { (try? container.state().status) == .stopped })
            waitpid(pid_t(pid), nil, 0)
            try container.delete()
            for file in held {
                let path = "/proc/self/fd/\(file)"
                #expect(truncate(path, 0) == -1)
                let writable = open(path, O_RDWR | O_CLOEXEC)
                guard writable >= 0 else { continue }
                defer { close(writable) }
                #expect(write(writable, "x", 1) == -1 && errno == EPERM)
                #expect(ftruncate(writable, 1 << 20) == -1)
                #expect(raw_system_call(Int(__NR_fallocate), Int(writable), 3, 0, 64, 0, 0) < 0)
                #expect(mmap(nil, 4096, PROT_WRITE, MAP_SHARED, writable, 0) == MAP_FAILED)
                #expect(try readBytes(path) == content)
            }
        }
    }

    // MARK: What init holds

    @Test("neither a waiting init nor its executable contains memory of the host")
    func secrets() throws {
        // Made at run time, so that it is only in the heap.
        let secret = Array("a secret of the host \(UInt64.random(in: 0...UInt64.max))".utf8)
        try withExtendedLifetime(secret) {
            try TestBundle.use { bundle throws in
                bundle.process.args = ["/bin/echo", "a word of the config"]
                let container = try Container.create(
                    bundle.id, from: bundle.loaded(), in: bundle.containerStore)
                let pid = try container.state().pid
                let memory = try Self.memory(of: pid)
                #expect(!memory.isEmpty && !contains(memory, secret))
                #expect(contains(memory, Array("a word of the config".utf8)))
                let executable = try readBytes("/proc/\(pid)/exe")
                #expect(executable.starts(with: [0x7f, 0x45, 0x4c, 0x46]))
                for word in [bundle.token, "a word of the config", "/bin/echo", "TERM="] {
                    #expect(!contains(executable, Array(word.utf8)), "\(word)")
                }
                try container.kill(.kill)
                waitpid(pid_t(pid), nil, 0)
                try container.delete()
            }
        }
    }

    /// All readable memory of a process.
    private static func memory(of pid: Int) throws -> [UInt8] {
        let file = try check(open("/proc/\(pid)/mem", O_RDONLY | O_CLOEXEC), "open mem")
        defer { close(file) }
        var content: [UInt8] = []
        for line in try readText("/proc/\(pid)/maps").lines
        where !line.contains("[v") {
            let range = line.prefix { $0 != " " }.split(separator: "-").compactMap {
                Int($0, radix: 16)
            }
            var part = [UInt8](repeating: 0, count: range[1] - range[0])
            let count = pread(file, &part, part.count, range[0])
            content += part.prefix(max(count, 0))
        }
        return content
    }

    private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { bytes in
            guard let first = bytes.baseAddress else { return false }
            var start = 0
            while start + part.count <= bytes.count,
                let found = memchr(
                    first + start, CInt(part[0]), bytes.count - part.count - start + 1)
            {
                if memcmp(found, part, part.count) == 0 { return true }
                start = first.distance(to: found) + 1
            }
            return false
        }
    }
}
