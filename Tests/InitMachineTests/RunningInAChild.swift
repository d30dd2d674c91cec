// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import InitMachine
import KernelVocabulary
import Testing

@testable import ContainerKit
@testable import InitProgram

/// How a program ended.
enum ProgramOutcome: Equatable {
    /// A system call of the program, or the program that it executed, ended the process.
    case exited(Int32)
    /// A signal killed it.
    case signaled(Int32)
    /// A system call failed.
    case failed(instruction: Int, errno: CInt)
}

/// A program that has run in a real child.
struct FinishedProgram {
    var pid: Int32
    var outcome: ProgramOutcome
    /// The last instruction in the progress page.
    var index: Int
    /// The program's output.
    var output: [UInt8]

    var text: String { String(decoding: output, as: UTF8.self) }

    /// The output as a 64-bit number.
    var number: Int64? {
        guard output.count == 8 else { return nil }
        return output.withUnsafeBytes { $0.loadUnaligned(as: Int64.self) }
    }
}

/// Runs a shell command and returns its wait status.
///
/// system(3) would ignore SIGINT and SIGQUIT in all of this process meanwhile, and the programs that
/// other tests start then would ignore them, too.
func runInShell(_ command: String) throws -> CInt {
    var pid: pid_t = 0
    let words: [String] = ["sh", "-c", command]
    var pointers = words.map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    let refusal = posix_spawn(&pid, "/bin/sh", nil, nil, &pointers, environ)
    try #require(refusal == 0)
    var status: CInt = 0
    while waitpid(pid, &status, 0) != pid { try #require(errno == EINTR) }
    return status
}

/// Both ends of a pipe, which are closed by an exec.
struct Pipe: ~Copyable {
    let reading: CInt
    private(set) var writing: CInt

    init(nonBlocking: Bool = false) throws {
        var ends: [CInt] = [-1, -1]
        // glibc hides pipe2(2) from Swift.
        let flags = Int(O_CLOEXEC | (nonBlocking ? O_NONBLOCK : 0))
        let result = ends.withUnsafeMutableBytes { ends in
            raw_system_call(
                Int(__NR_pipe2), Int(bitPattern: ends.baseAddress), flags, 0, 0, 0, 0)
        }
        try #require(result == 0)
        reading = ends[0]
        writing = ends[1]
    }

    mutating func closeWriting() {
        close(writing)
        writing = -1
    }

    deinit {
        close(reading)
        if writing >= 0 { close(writing) }
    }
}

/// Starts a child with new namespaces, as the launcher does.
func startChild(_ image: ProgramImage, _ kinds: NamespaceSet, _ page: ProgressPage) throws
    -> ChildProcess
{
    let (ours, theirs) = try socketPair().numbers()
    defer { for end in [ours, theirs] { close(end) } }
    var start = ChildStart(inputs: [.rendezvous: theirs], page)
    start.rendezvous = ours
    start.kinds = kinds
    return try start.start(image)
}

/// A program that runs in a child of the test, with real system calls and no mocks.
final class RunningProgram {
    let image: ProgramImage
    let page: ProgressPage
    let pid: Int32
    let pidfd: CInt

    /// Starts `image` as the launcher does; with `copying`, flags of clone3(2), in a copy of this
    /// process.
    init(
        _ image: ProgramImage, inputs: DescriptorTable<CInt> = [:], copying flags: CloneFlags? = nil
    ) throws {
        try image.check()
        self.image = image
        let page = try ProgressPage.inMemory()
        self.page = page
        let child: ChildProcess
        if let flags {
            let loaded = LoadedProgram(image, inputs: inputs, progress: page)
            child = try loaded.start([], flags: flags)
        } else {
            child = try ChildStart(inputs: inputs, page).start(image)
            try #require(child.refused == nil, "this host does not let a child be born empty")
        }
        (pid, pidfd) = (child.pid, child.pidfd)
    }

    deinit {
        _ = OwnedDescriptor(taking: pidfd)
    }

    func kill() throws {
        try sendSignal(pidfd, SIGKILL)
    }

    /// Waits for the end of the child.
    func finish() throws -> ProgramOutcome {
        let status = try waitProcess(pidfd)
        if page.error != 0 {
            #expect(status == .exited(Int32(machine_failure_status)))
            return .failed(instruction: page.index, errno: page.error)
        }
        switch status {
        case .exited(let code): return .exited(code)
        case .signaled(let number): return .signaled(number)
        case .unknown: return .failed(instruction: -1, errno: ECHILD)
        }
    }
}

/// Runs a program to its end, and collects what it writes to descriptor `output`.
func runInChild(
    inputs: DescriptorTable<CInt> = [:], copying flags: CloneFlags? = nil,
    _ build: (_ code: inout Assembler, _ output: Operand) throws -> Void
) throws -> FinishedProgram {
    var pipe = try Pipe()
    var code = Assembler()
    try build(&code, .literal(Int(pipe.writing)))
    _ = code.reserve(8)
    var inputs = inputs
    inputs[.standardStream(1)] = pipe.writing
    let program = try RunningProgram(code.image, inputs: inputs, copying: flags)
    pipe.closeWriting()
    let output = try readFile(pipe.reading, named: "output")
    let outcome = try program.finish()
    return FinishedProgram(
        pid: program.pid, outcome: outcome, index: program.page.index, output: output)
}

/// Runs steps to their end; the last one is `execute`, and its standard output is collected.
func runInChild(_ steps: [InitStep], inputs: DescriptorTable<CInt> = [:]) throws
    -> FinishedProgram
{
    try runInChild(inputs: inputs) { code, _ in
        var state = LoweringState()
        for step in [.stream(.setStandardStreams([1]))] + steps { step.lower(into: &code, &state) }
    }
}

extension InitStep {
    /// Replaces the program by a shell.
    static func shell(_ script: String, environment: [String] = []) -> InitStep {
        .execution(
            .execute(
                candidates: ["/bin/sh"], arguments: ["sh", "-c", ByteText(script)],
                environment: ["PATH=/usr/bin:/bin"] + environment.map { ByteText($0) }))
    }
}

extension Assembler {
    mutating func exit(_ status: Int) {
        call(.exitGroup, [.literal(status)])
    }

    /// Writes the cell's content, eight bytes.
    mutating func write(_ cell: Cell, to output: Operand) {
        call(.write, [output, .cellAddress(cell), .literal(8)])
    }

    /// A cell that contains a number when the program starts: `value(of:)` gives the number to the
    /// launcher.
    mutating func number(_ place: Int) -> Cell {
        input(.mountTree(place))
    }
}

/// The inputs for the cells made by `number`.
func numbers(_ values: CInt...) -> DescriptorTable<CInt> {
    var inputs: DescriptorTable<CInt> = [:]
    for (place, value) in values.enumerated() { inputs[.mountTree(place)] = value }
    return inputs
}
