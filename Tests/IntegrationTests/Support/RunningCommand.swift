// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Held while a process is started, and while a file is written that is executed later: otherwise
/// the new process has the file open for writing until it executes its own program.
let writingPrograms = Mutex<Void>(())

/// How a program is started.
struct CommandOptions {
    /// Its standard input.
    var input = ""
    var directory: String?
    /// Further descriptors, besides 0, 1 and 2: the number in the program, and ours.
    var descriptors: [CInt: CInt] = [:]
    /// Descriptors that it must not inherit.
    var closed: [CInt] = []
    /// A terminal's slave for all three streams, which becomes the controlling terminal.
    var terminal: String?
    /// The time after which it is killed; long enough for an emulated machine.
    var timeLimitSeconds = 60.0
    var environment: [String: String] = [:]
}

/// The result of a program.
struct FinishedCommand: CustomStringConvertible {
    /// The exit status, or 128 plus the number of the signal.
    let status: Int32
    let output: String
    let error: String

    /// Standard output without white space at both ends.
    var text: String { output.trimmed }

    var description: String { "status \(status)\noutput: \(output)\nerror: \(error)" }
}

/// A program that was started.
///
/// Its streams are files, so that a container cannot block the test by keeping a pipe open.
final class RunningCommand {
    let pid: pid_t
    private let words: [String]
    private let outputFile: CInt
    private let errorFile: CInt
    private let end: ContinuousClock.Instant
    private var isReaped = false

    struct TimedOut: Error, CustomStringConvertible {
        let description: String
    }

    init(_ words: [String], _ options: CommandOptions = CommandOptions(), token: String) throws {
        var words = words
        if let directory = options.directory {
            words = ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", directory] + words
        }
        self.words = words
        end = .now + .seconds(options.timeLimitSeconds)
        outputFile = try Self.anonymousFile()
        errorFile = try Self.anonymousFile()
        let input = try Self.anonymousFile()
        defer { close(input) }
        let bytes = Array(options.input.utf8)
        try check(write(input, bytes, bytes.count), "write input")
        lseek(input, 0, SEEK_SET)

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let terminal = options.terminal {
            posix_spawn_file_actions_addopen(&actions, 0, terminal, O_RDWR, 0)
            posix_spawn_file_actions_adddup2(&actions, 0, 1)
            posix_spawn_file_actions_adddup2(&actions, 0, 2)
        } else {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
            posix_spawn_file_actions_adddup2(&actions, outputFile, 1)
            posix_spawn_file_actions_adddup2(&actions, errorFile, 2)
        }
        var copies: [CInt] = []
        defer { for copy in copies { close(copy) } }
        for (number, ours) in options.descriptors {
            // Above the descriptor numbers that are assigned.
            let copy = try check(fcntl(ours, F_DUPFD_CLOEXEC, 200), "dup \(ours)")
            copies.append(copy)
            posix_spawn_file_actions_adddup2(&actions, copy, number)
        }
        for number in options.closed { posix_spawn_file_actions_addclose(&actions, number) }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The threads that run tests block most signals; a shell's commands start with none blocked.
        var unblocked = sigset_t()
        sigemptyset(&unblocked)
        posix_spawnattr_setsigmask(&attributes, &unblocked)
        // POSIX_SPAWN_SETSID of glibc's spawn.h, behind _GNU_SOURCE.
        let newSession: Int16 = options.terminal == nil ? 0 : 0x80
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | newSession)

        var environment = options.environment
        environment["PATH"] = environment["PATH"] ?? Host.searchPath
        environment[Leftovers.variable] = token
        pid = try Self.spawn(
            words, environment.map { "\($0.key)=\($0.value)" }, &actions, &attributes)
    }

    deinit {
        if !isReaped {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
        close(outputFile)
        close(errorFile)
    }

    private static func anonymousFile() throws -> CInt {
        var template = Array("/tmp/swrunc-it-XXXXXX".utf8CString)
        let file = try check(mkstemp(&template), "make a temporary file")
        unlink(template)
        try check(fcntl(file, F_SETFD, FD_CLOEXEC), "fcntl")
        return file
    }

    private static func spawn(
        _ words: [String], _ environment: [String],
        _ actions: inout posix_spawn_file_actions_t, _ attributes: inout posix_spawnattr_t
    ) throws -> pid_t {
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        defer { for pointer in arguments + variables { free(pointer) } }
        var pid: pid_t = 0
        let failure = writingPrograms.withLock { _ in
            posix_spawn(&pid, words[0], &actions, &attributes, &arguments, &variables)
        }
        errno = failure
        if failure != 0 { throw CallError("start \(words[0])") }
        return pid
    }

    /// Its output so far.
    var output: String { Self.contents(outputFile) }
    var error: String { Self.contents(errorFile) }

    private static func contents(_ file: CInt) -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = pread(file, &buffer, buffer.count, off_t(bytes.count))
            if count <= 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer.prefix(count)
        }
    }

    /// Waits for its end; kills it when its time is over.
    func wait() throws -> FinishedCommand {
        var status: CInt = 0
        while true {
            let result = waitpid(pid, &status, WNOHANG)
            if result == pid { break }
            if result < 0, errno != EINTR { throw CallError("wait for \(words)") }
            if ContinuousClock.now > end {
                throw TimedOut(description: "\(words) ran out of time: \(output) \(error)")
            }
            usleep(1000)
        }
        isReaped = true
        let signal = status & 0x7f
        return FinishedCommand(
            status: signal == 0 ? status >> 8 & 0xff : 128 + signal, output: output, error: error)
    }
}
