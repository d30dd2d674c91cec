// SPDX-License-Identifier: Apache-2.0

internal import SystemPackage

#if canImport(Musl)
@preconcurrency internal import Musl
#else
@preconcurrency internal import Glibc
#endif

/// What a program of the host wrote to its standard output and error, and how it ended.
struct ProgramOutput {
    /// The exit status, or 128 plus the number of the signal.
    let status: Int32
    /// Both streams in the order of the writes.
    let text: String

    /// Runs a program from PATH to its end, with empty input.
    init(of words: [String]) throws(Errno) {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Errno(rawValue: errno) }
        let reader = FileDescriptor(rawValue: ends[0])
        defer { try? reader.close() }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        for end in ends { posix_spawn_file_actions_addclose(&actions, end) }
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var pid: pid_t = 0
        let refusal = posix_spawnp(&pid, words[0], &actions, nil, &arguments, environ)
        close(ends[1])
        guard refusal == 0 else { throw Errno(rawValue: refusal) }

        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = read(ends[0], &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += chunk.prefix(count)
        }
        var ended: CInt = 0
        while waitpid(pid, &ended, 0) < 0 {
            guard errno == EINTR else { throw Errno(rawValue: errno) }
        }
        let signal = ended & 0x7f
        status = signal == 0 ? (ended >> 8) & 0xff : 128 + signal
        text = String(decoding: bytes, as: UTF8.self)
    }
}
