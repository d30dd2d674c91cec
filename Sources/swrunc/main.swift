// SPDX-License-Identifier: Apache-2.0

// swrunc: the command line of runc over ContainerKit.
//
// CommandLine/  tables of flags; parsing and help are both made from them
// Commands/     a file a command: its table and what it does with ContainerKit
// Output/       standard output, the log and its two formats, tables, how a failure is told
// Session.swift one call of the binary, from its words to its exit status
//
// Nothing here knows how containers work: what a command needs is public API of ContainerKit.

internal import Glibc

// Nothing is buffered, and nothing waits for exit(3).
_exit(Session.run(CommandLine.arguments))
