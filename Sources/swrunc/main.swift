// SPDX-License-Identifier: Apache-2.0

// swrunc: the command line of runc over ContainerKit.
//
//   CommandLine/    tables of flags; parsing, help, manual pages and completion are made from them
//   Commands/       a file a command: its table and what it does with ContainerKit
//   Output/         standard output, the log and its two formats, tables, how a failure is told
//   Session         one call of the binary, from its words to its exit status
//   Invocation      what a command works with: flags, store, logger
//   CallerSettings  signals and limits, as the caller left them
//   Files           files that flags name
//   ProgramOutput   a program of the host that is asked: ps
//
// Nothing here knows how containers work: what a command needs is public API of ContainerKit.

internal import ContainerKit
internal import Glibc
internal import ProgramArguments

/// The command line, byte for byte: `CommandLine.arguments` repairs what is no UTF-8.
private func words() -> [ByteText] {
    var count: Int32 = 0
    guard let list = _swift_stdlib_getUnsafeArgvArgc(&count) else { return [] }
    var words: [ByteText] = []
    for index in 0..<Int(count) {
        guard let word = list[index] else { continue }
        words.append(
            ByteText(bytes: Array(UnsafeRawBufferPointer(start: word, count: strlen(word)))))
    }
    return words
}

// Nothing is buffered, and nothing waits for exit(3).
_exit(Session.run(words()))
