// SPDX-License-Identifier: Apache-2.0

import Foundation
import SystemPackage
import Testing

@testable import ContainerKit
@testable import InitProgram

@Suite("Hints for a refusal in init")
struct InitHintTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var theme = StepTheme.mount
        let call: String
        var arguments = ""
        var note = ""
        let errno: CInt
        /// A word that the hint must contain; nil if there must be no hint.
        let words: [String]?
        var testDescription: String { "\(call)(\(arguments)): \(errno)" }
    }

    static let cases: [Case] = [
        Case(
            theme: .identity, call: "capset", errno: EPERM,
            words: ["process.capabilities.bounding", "runtime"]),
        Case(
            theme: .identity, call: "prctl", arguments: "PR_CAPBSET_DROP, 3", errno: EPERM,
            words: ["CAP_SETPCAP"]),
        Case(
            theme: .attribute, call: "prlimit64", arguments: "RLIMIT_NOFILE", errno: EPERM,
            words: ["CAP_SYS_RESOURCE", "fs.nr_open"]),
        Case(theme: .identity, call: "setuid", arguments: "7", errno: EINVAL, words: ["mapping"]),
        Case(
            theme: .process, call: "keyctl", errno: EDQUOT,
            words: ["kernel.keys", "--no-new-keyring"]),
        Case(
            theme: .process, call: "keyctl", errno: ENOMEM,
            words: ["kernel.keys", "--no-new-keyring"]),
        Case(
            theme: .attribute, call: "write", errno: EACCES,
            words: ["CAP_SYS_RESOURCE"]),
        Case(theme: .file, call: "write", errno: EACCES, words: nil),
        Case(call: "open_tree", errno: EINVAL, words: ["rbind", "unbindable"]),
        Case(
            call: "fsconfig", arguments: "$filesystem, FSCONFIG_SET_STRING, \"foo\", \"bar\"",
            errno: EINVAL, words: ["option"]),
        Case(
            call: "fsconfig", arguments: "$filesystem, FSCONFIG_CMD_CREATE", errno: EINVAL,
            words: nil),
        Case(
            call: "fsopen", arguments: "\"none\", FSOPEN_CLOEXEC", errno: ENODEV,
            words: ["option bind"]),
        Case(
            call: "fsopen", arguments: "\"tmfs\", FSOPEN_CLOEXEC", errno: ENODEV,
            words: ["file system type"]),
        Case(theme: .file, call: "mkdirat", errno: EROFS, words: ["read-only"]),
        Case(
            theme: .namespace, call: "unshare", arguments: "CLONE_NEWTIME", errno: ENOSPC,
            words: ["user.max_"]),
        Case(call: "statx", errno: EACCES, words: nil),
    ]

    @Test(
        "a refusal in init gets a hint to its likely cause, if there is a known one",
        arguments: cases)
    func hint(_ wanted: Case) {
        let instruction = RecordedInstruction(
            index: 0, origin: .runtime, theme: wanted.theme, call: wanted.call,
            arguments: wanted.arguments, note: wanted.note)
        let hint = instruction.hint(wanted.errno)
        guard let words = wanted.words else {
            #expect(hint == nil)
            return
        }
        for word in words { #expect(hint?.contains(word) == true, "\(hint ?? "none")") }
    }

    @Test("a refusal by the kernel itself is not blamed on a seccomp filter")
    func kernelRefusals() {
        for call in ["openat2", "statx", "keyctl", "setns", "mount", "clone3"] {
            let failure = SystemCallError(call, "", errno: .notPermitted)
            #expect(OuterFilter.hint(for: failure) == nil)
        }
    }

    @Test("a kernel that supports every kind of namespace is not said to lack one")
    func namespaces() {
        #expect(newNamespacesHint([.pid, .mount], .invalidArgument) == nil)
    }
}
