// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import KernelVocabulary
import SystemPackage
import Testing

@testable import ContainerKit
@testable import InitProgram

/// Steps that need no privileges, really executed.
@Suite("Steps in a real child")
struct StepTests {
    @Test("the program gets its arguments and its environment, and nothing else")
    func argumentsAndEnvironment() throws {
        let done = try runInChild([
            .execution(
                .execute(
                    candidates: ["/bin/sh"],
                    arguments: ["name", "-c", "echo \"$0 $1 $A\"", "zero", "one  two"],
                    environment: ["A=ä=b"]))
        ])
        #expect(done.outcome == .exited(0))
        #expect(done.text == "zero one  two ä=b\n")
    }

    @Test("arguments and environment reach the program byte for byte, in whatever encoding")
    func anyBytes() throws {
        let latin = ByteText(bytes: [0x63, 0xe9, 0xff])
        let done = try runInChild([
            .execution(
                .execute(
                    candidates: ["/bin/sh"],
                    arguments: ["sh", "-c", "printf '%s %s' \"$0\" \"$A\" | od -An -tx1", latin],
                    environment: ["PATH=/usr/bin:/bin", ByteText(bytes: [0x41, 0x3d, 0xe4])]))
        ])
        #expect(done.text == " 63 e9 ff 20 e4\n")
    }

    @Test(
        "the first candidate path that can be executed is executed",
        arguments: [
            ["/nonexistent/true", "/bin/true", "/bin/false"],
            ["/etc/passwd/true", "/etc/passwd", "/tmp", "/bin/true"],
        ] as [[ByteText]])
    func candidates(_ paths: [ByteText]) throws {
        let done = try runInChild([
            .execution(.findExecutable(name: "true", candidates: paths)),
            .execution(.execute(candidates: paths, arguments: ["true"], environment: [])),
        ])
        #expect(done.outcome == .exited(0))
    }

    @Test(
        "a program that cannot be executed is reported before anything is executed",
        arguments: [
            ("nope", ["/nonexistent/nope", "/tmp"], EBADF, "executable file not found in $PATH"),
            ("nope", [], EBADF, "executable file not found in $PATH"),
            ("/tmp", ["/tmp"], EBADF, "is a directory"),
            ("/nonexistent/a", ["/nonexistent/a"], ENOENT, "stat /nonexistent/a"),
            ("/etc/passwd", ["/etc/passwd"], EACCES, "exec: \"/etc/passwd\""),
        ] as [(ByteText, [ByteText], CInt, String)])
    func missingPrograms(_ name: ByteText, _ paths: [ByteText], _ errno: CInt, _ note: String)
        throws
    {
        let steps: [InitStep] = [
            .execution(.findExecutable(name: name, candidates: paths)),
            .execution(.execute(candidates: ["/bin/true"], arguments: ["true"], environment: [])),
        ]
        let image = ProgramImage(lowering: steps)
        let program = try RunningProgram(image)
        guard case .failed(let instruction, errno) = try program.finish() else {
            Issue.record("the program was not refused with errno \(errno)")
            return
        }
        #expect(image.step(of: instruction) == 0)
        #expect(image.note(of: instruction)?.contains(note) == true)
    }

    @Test("the process has the umask of the config")
    func umask() throws {
        let done = try runInChild([.identity(.setUmask(0o027)), .shell("umask")])
        #expect(done.text == "0027\n")
    }

    @Test("a process with no_new_privs cannot gain privileges")
    func newPrivileges() throws {
        let done = try runInChild([
            .identity(.forbidNewPrivileges), .shell("grep NoNewPrivs /proc/self/status"),
        ])
        #expect(done.text == "NoNewPrivs:\t1\n")
    }

    @Test("the child leads a session of its own")
    func session() throws {
        let done = try runInChild([
            .process(.startSession), .shell("cut -d' ' -f6 /proc/$$/stat"),
        ])
        #expect(done.text == "\(done.pid)\n")
    }

    @Test(
        "the working directory is entered by its path in the root",
        arguments: [("/", "/"), ("/usr/../proc", "/proc"), ("/../proc//sys/.", "/proc/sys")])
    func workingDirectory(_ path: String, _ expected: String) throws {
        let done = try runInChild([
            .root(.openRoot), .execution(.enterDirectory(path)), .shell("/bin/pwd"),
        ])
        #expect(done.text == expected + "\n")
    }

    /// Root can enter another user's directory, so root's rights are given up first.
    @Test(
        "a working directory refused to the runtime is entered if the process's user may",
        .enabled(if: geteuid() == 0, "needs root"))
    func triedDirectory() throws {
        var template = Array("/tmp/tried-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let path = String(decoding: template.dropLast().map(UInt8.init), as: UTF8.self)
        defer { rmdir(path) }
        try #require(chown(path, 1000, 1000) == 0 && chmod(path, 0o700) == 0)
        let none = CapabilitySets(effective: 0, permitted: 1 << 7 | 1 << 6, inheritable: 0)
        let all = CapabilitySets(effective: 1 << 7, permitted: 1 << 7 | 1 << 6, inheritable: 0)
        func steps(_ user: UInt32, _ second: String) -> [InitStep] {
            [
                .root(.openRoot), .identity(.setCapabilities(none)),
                .execution(.tryDirectory(path)), .identity(.setCapabilities(all)),
                .identity(.setUserID(user)), .execution(.enterDirectory(second)),
                .shell("/bin/pwd"),
            ]
        }
        #expect(try runInChild(steps(1000, path)).text == path + "\n")
        let image = ProgramImage(lowering: steps(1001, path))
        guard case .failed(let instruction, let errno) = try RunningProgram(image).finish() else {
            Issue.record("the directory was entered")
            return
        }
        #expect(image.step(of: instruction) == 5 && errno == EACCES)
        #expect(image.note(of: instruction) == "chdir to cwd (\"\(path)\")")
    }

    @Test(
        "a working directory that is not a directory is refused", arguments: ["/etc/passwd", "/no"])
    func missingDirectory(_ path: String) throws {
        let steps: [InitStep] = [.root(.openRoot), .execution(.enterDirectory(path)), .shell("")]
        let image = ProgramImage(lowering: steps)
        let program = try RunningProgram(image)
        guard case .failed(let instruction, let errno) = try program.finish() else {
            Issue.record("the directory was entered")
            return
        }
        #expect(image.step(of: instruction) == 1)
        #expect(errno == (path == "/no" ? ENOENT : ENOTDIR))
    }

    @Test("descriptors that the plan does not keep are closed, the others stay open")
    func descriptors() throws {
        let lost = fcntl(0, F_DUPFD, 500)
        let kept = fcntl(0, F_DUPFD, 600)
        try #require(lost >= 500 && kept >= 600)
        defer {
            close(lost)
            close(kept)
        }
        let inputs: DescriptorTable<CInt> = [
            .rendezvous: kept,
            .gapStart(phase: 1, 0): 3, .gapEnd(phase: 1, 0): kept - 1,
            .gapStart(phase: 1, 1): kept + 1, .gapEnd(phase: 1, 1): CInt.max,
        ]
        // The output descriptor is not kept, so the program reports by its status.
        let image = {
            var code = Assembler()
            var state = LoweringState()
            InitStep.process(.closeDescriptors(phase: 1, keeping: [.rendezvous], preserved: 0))
                .lower(into: &code, &state)
            for number in [kept, lost] {
                let flags = code.cell("flags")
                code.call(
                    .fcntl, [.literal(Int(number)), .literal(Int(F_GETFD))], into: flags,
                    ignoring: [.badFileDescriptor])
                let isOpen = code.skip(when: .isNotNegative(flags))
                code.exit(number == lost ? 7 : 8)
                code.place(isOpen)
            }
            code.exit(9)
            _ = code.reserve(8)
            return code.image
        }()
        #expect(try RunningProgram(image, inputs: inputs).finish() == .exited(7))
    }

    @Test("an empty gap between two kept descriptors is no error")
    func emptyGap() throws {
        let done = try runInChild(
            [
                .process(.closeDescriptors(phase: 1, keeping: [], preserved: 0)),
                .shell("echo still here"),
            ],
            inputs: [.gapStart(phase: 1, 0): 700, .gapEnd(phase: 1, 0): 699])
        #expect(done.text == "still here\n")
    }

    @Test("a seccomp filter that was loaded is in force")
    func seccomp() throws {
        // BPF_RET of SECCOMP_RET_KILL_PROCESS for every call.
        let filter: [UInt8] = [0x06, 0, 0, 0, 0, 0, 0, 0x80]
        let done = try runInChild([
            .identity(.forbidNewPrivileges), .filter(.loadSeccomp(filter: filter, flags: .empty)),
            .shell("echo no"),
        ])
        #expect(done.outcome == .signaled(SIGSYS))
        #expect(done.text == "")
    }

    @Test("a child reports to its parent over the rendezvous socket")
    func reporting() throws {
        let pipe = try Pipe()
        let writing = pipe.writing
        let done = try runInChild(
            [.exchange(.reportToParent(.ready)), .shell("")], inputs: [.rendezvous: writing])
        #expect(done.outcome == .exited(0))
        var byte: UInt8 = 0
        #expect(read(pipe.reading, &byte, 1) == 1)
        #expect(byte == ChildEvent.ready.rawValue)
    }
}
