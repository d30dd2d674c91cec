// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import InitMachine
import SystemPackage
import Testing

@testable import ContainerKit
@testable import InitProgram

/// A child that waits until the test has examined it.
private struct WaitingChild {
    let program: RunningProgram
    private let socket: CInt

    /// The child's program never prints `text`, but contains it, like a text of a config.
    init(carrying text: String = "") throws {
        var ends: [CInt] = [-1, -1]
        try #require(
            socketpair(
                AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
        defer { close(ends[1]) }
        socket = ends[0]
        var code = Assembler()
        var state = LoweringState()
        _ = code.textOffset(text)
        // The program has begun when the progress page shows this instruction.
        code.call(.getpid, [])
        InitStep.exchange(.waitForParent(.userMapped)).lower(into: &code, &state)
        code.exit(7)
        _ = code.reserve(8)
        program = try RunningProgram(code.image, inputs: [.rendezvous: ends[1]])
        let page = program.page
        try #require((0..<1000).contains { _ in page.index > 0 || usleep(1000) != 0 })
    }

    func release() throws -> ProgramOutcome {
        close(socket)
        return try program.finish()
    }

    func text(_ name: String) throws -> String {
        String(decoding: try readFile("/proc/\(program.pid)/\(name)"), as: UTF8.self)
    }

    /// Whether the process's memory contains the bytes.
    func remembers(_ bytes: [UInt8]) throws -> Bool {
        let memory = open("/proc/\(program.pid)/mem", O_RDONLY | O_CLOEXEC)
        try #require(memory >= 0)
        defer { close(memory) }
        for line in try text("maps").split(separator: "\n") where !line.contains("[v") {
            let range = line.prefix { $0 != " " }.split(separator: "-").compactMap {
                Int($0, radix: 16)
            }
            var content = [UInt8](repeating: 0, count: range[1] - range[0])
            let count = pread(memory, &content, content.count, range[0])
            if count > 0, content.contains(part: bytes) { return true }
        }
        return false
    }
}

extension Trait where Self == ConditionTrait {
    fileprivate static var rootLooksIntoTheChild: Self {
        .enabled(if: geteuid() == 0, "files in /proc of a process that nobody may trace are root's")
    }
}

@Suite("A child that is born empty", .serialized)
struct BornEmptyTests {
    // MARK: What the child holds

    @Test(
        "the child's memory is only the machine, its image, the progress page and a stack",
        .rootLooksIntoTheChild)
    func memory() throws {
        let child = try WaitingChild()
        let names = try child.text("maps").split(separator: "\n").compactMap {
            $0.split(separator: " ", omittingEmptySubsequences: true).dropFirst(5).first
        }
        let allowed: Set<Substring> = [
            "/memfd:init", "/memfd:image", "/memfd:progress", "[stack]", "[vvar]", "[vvar_vclock]",
            "[vdso]", "[vsyscall]",
        ]
        #expect(names.filter { !allowed.contains($0) } == [])
        #expect(try child.release() == .exited(0))
    }

    @Test(
        "nothing of the host's heap is in the child's memory, but what its program needs is",
        .rootLooksIntoTheChild)
    func secrets() throws {
        let secret = (0..<32).map { _ in UInt8.random(in: 1...255) }
        let word = "a word of the config \(Int.random(in: 0...Int.max))"
        let child = try WaitingChild(carrying: word)
        #expect(try child.remembers(Array(word.utf8)))
        #expect(try !child.remembers(secret))
        #expect(try child.release() == .exited(0))
        _ = secret
    }

    @Test("a waiting child uses less than 64 KiB of memory")
    func residentMemory() throws {
        let child = try WaitingChild()
        let line = try child.text("status").split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        let kibibytes = line.flatMap { Int($0.filter(\.isNumber)) }
        #expect(try #require(kibibytes) < 64)
        #expect(try child.release() == .exited(0))
    }

    // MARK: Its executable

    @Test(
        "the child's executable is in memory, has no byte of the config, and is immutable",
        .rootLooksIntoTheChild)
    func executable() throws {
        let word = "a word of the config"
        let child = try WaitingChild(carrying: word)
        let path = "/proc/\(child.program.pid)/exe"
        let content = try readFile(path)
        #expect(content.starts(with: [0x7f, 0x45, 0x4c, 0x46]))
        #expect(!content.contains(part: Array(word.utf8)))
        let file = open(path, O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        #expect(try child.release() == .exited(0))
        // As in CVE-2019-5736: the file is kept open, and opened for writing when no process runs
        // it any more.
        let writable = open("/proc/self/fd/\(file)", O_RDWR | O_CLOEXEC)
        if writable >= 0 {
            #expect(write(writable, "x", 1) == -1)
            #expect(ftruncate(writable, 0) == -1)
            close(writable)
        }
        #expect(try readFile("/proc/self/fd/\(file)") == content)
    }

    @Test(
        "the executable of the machine exits at once when it is started without an image",
        .rootLooksIntoTheChild)
    func withoutImage() throws {
        let child = try WaitingChild()
        let path = "/proc/\(child.program.pid)/exe"
        for arguments in [
            "", "init", "init 99 98 4096", "init -1 x 0", "init 99 98", "other 0 0 0",
        ] {
            #expect(try runInShell("\(path) \(arguments)") == 127 << 8)
        }
        #expect(try child.release() == .exited(0))
    }

    @Test(
        "the child has its host's process name, and its arguments are two descriptors and a size",
        .rootLooksIntoTheChild)
    func name() throws {
        let child = try WaitingChild()
        let name = String(cString: calling_name())
        #expect(try child.text("comm") == "\(name.prefix(15))\n")
        let words = try child.text("cmdline").split(separator: "\0")
        #expect(words.count == 5 && words[0] == name && words[1] == "init")
        #expect(try child.text("environ") == "")
        #expect(try child.release() == .exited(0))
    }

    // MARK: Descriptors

    @Test("a descriptor given to the program stays open until it executes, and no longer")
    func givenDescriptors() throws {
        let given = fcntl(0, F_DUPFD_CLOEXEC, 600)
        let other = fcntl(0, F_DUPFD_CLOEXEC, 500)
        defer {
            close(given)
            close(other)
        }
        try #require(given >= 600 && other >= 500)
        let done = try runInChild(inputs: [.rendezvous: given]) { code, output in
            for number in [given, other] {
                let flags = code.cell("flags")
                code.call(
                    .fcntl, [.literal(Int(number)), .literal(1)], into: flags,
                    ignoring: [.badFileDescriptor])
                code.write(flags, to: output)
            }
            code.exit(0)
        }
        // FD_CLOEXEC, and the value for a descriptor that does not exist.
        let numbers = done.output.withUnsafeBytes { Array($0.bindMemory(to: Int64.self)) }
        #expect(numbers == [1, Int64(-EBADF)])
    }

    // MARK: A host of any kind

    @Test(
        "the exit status of a child is found in hosts that reap every child or ignore SIGCHLD"
    )
    func reapingHosts() async {
        await #expect(processExitsWith: .success) {
            for ignores in [false, true] {
                signal(SIGCHLD, ignores ? SIG_IGN : SIG_DFL)
                var thread = pthread_t()
                if !ignores {
                    // __WALL
                    pthread_create(
                        &thread, nil,
                        { _ in
                            while true { if waitpid(-1, nil, 0x4000_0000) < 0 { usleep(50) } }
                        }, nil)
                }
                for _ in 0..<200 {
                    guard geteuid() == 0 else { return }
                    let child = try startChild(
                        try exiting(), [.uts], try ProgressPage.inMemory())
                    #expect(child.refused == nil)
                    #expect(child.pid > 0 && child.pidfd >= 0)
                    _ = try? waitProcess(child.pidfd)
                    close(child.pidfd)
                }
            }
            exit(0)
        }
    }

    // MARK: Where it is refused

    @Test("the child is a copy of its host, and says why, if execveat is refused")
    func refused() async {
        await #expect(processExitsWith: .success) {
            try refuse(Int32(__NR_execveat), with: EACCES)
            for kinds in geteuid() == 0 ? [NamespaceSet(), [.uts]] : [NamespaceSet()] {
                let page = try ProgressPage.inMemory()
                let child = try startChild(try exiting(), kinds, page)
                #expect(
                    "\(child.refused, default: "")".contains("permission denied"))
                #expect(try waitProcess(child.pidfd) == .exited(3))
                #expect(page.error == 0)
            }
            exit(0)
        }
    }

    @Test(
        "a refused memory file leads to a copy; lack of memory or descriptors is an error"
    )
    func refusedFiles() async {
        await #expect(processExitsWith: .success) {
            try refuse(Int32(__NR_memfd_create), with: ENOSYS)
            let start = ChildStart(inputs: [:], try ProgressPage.inMemory())
            let child = try start.start(exiting())
            #expect(child.refused?.call == "memfd_create")
            #expect(try waitProcess(child.pidfd) == .exited(3))
            exit(0)
        }
        await #expect(processExitsWith: .success) {
            let page = try ProgressPage.inMemory()
            try refuse(Int32(__NR_execveat), with: ENOMEM)
            let start = ChildStart(inputs: [:], page)
            #expect(throws: SystemCallError.self) { try start.start(exiting()) }
            exit(0)
        }
    }
}

extension [UInt8] {
    /// Whether the bytes of `part` occur here, in this order.
    fileprivate func contains(part: [UInt8]) -> Bool {
        guard let first = part.first, count >= part.count else { return false }
        return (0...(count - part.count)).contains { start in
            self[start] == first && self[start..<(start + part.count)].elementsEqual(part)
        }
    }
}

/// A program that exits with status 3.
private func exiting() throws -> ProgramImage {
    var code = Assembler()
    code.call(.getpid, [])
    code.exit(3)
    _ = code.reserve(8)
    try code.image.check()
    return code.image
}

/// Installs a filter that answers one system call of this process, permanently.
private func refuse(_ call: Int32, with errno: CInt) throws {
    var filter = [
        // Loads the number of the call; then two possible results.
        sock_filter(code: 0x20, jt: 0, jf: 0, k: 0),
        sock_filter(code: 0x15, jt: 0, jf: 1, k: UInt32(call)),
        sock_filter(code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | UInt32(errno)),
        sock_filter(code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000),
    ]
    try #require(
        raw_system_call(Int(__NR_prctl), Int(PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0, 0) == 0)
    let result = filter.withUnsafeMutableBufferPointer { buffer in
        var program = sock_fprog(len: UInt16(buffer.count), filter: buffer.baseAddress)
        return withUnsafeMutablePointer(to: &program) {
            raw_system_call(Int(__NR_seccomp), 1, 0, Int(bitPattern: $0), 0, 0, 0)
        }
    }
    try #require(result == 0)
}
