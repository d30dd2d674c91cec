// SPDX-License-Identifier: Apache-2.0

// swrunc: runc's command line, built on ContainerKit.
//
//   CommandLine/    tables of flags; parsing, help, manual pages and completion are made from them
//   Commands/       one file per command: its table, and its calls of ContainerKit
//   Top/            the table of `top`: readings, keys, the terminal
//   Output/         standard output, the log and its two formats, tables, error messages
//   Session         one call of the binary, from its command line to its exit status
//   Invocation      the input of a command: flags, store, logger
//   CallerSettings  signals and limits inherited from the caller
//   Files           reads and writes the files that flags name
//   ProgramOutput   runs a program of the host: ps
//
// Nothing here knows how containers work: commands use only the public API of ContainerKit.

internal import ContainerKit
internal import ProgramArguments

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// The command line as bytes: `CommandLine.arguments` replaces bytes that are not UTF-8.
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

// No output is buffered, and nothing relies on exit handlers, so exit(3) is not needed.
_exit(Session.run(words()))
