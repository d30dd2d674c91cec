// SPDX-License-Identifier: Apache-2.0

import Testing

/// A file that breaks a rule, and why this is accepted for now.
struct KnownViolation: Sendable, CustomTestStringConvertible {
    var rule: String
    var path: String
    var reason: String

    var testDescription: String { "\(path): \(reason)" }

    private static let pointers = "pointers are in few places, each with a reason"
    private static let layers = "a target imports only what its layer may"

    static let all: [KnownViolation] = [
        KnownViolation(
            rule: pointers, path: "Sources/InitProgram/Assembler.swift",
            reason: "the bytes of a number, no address"),
        KnownViolation(
            rule: pointers, path: "Sources/ContainerKit/Seccomp/FilterInstruction.swift",
            reason: "the bytes of a number, no address"),
        KnownViolation(
            rule: pointers, path: "Sources/ContainerKit/Children/SealedExecutable.swift",
            reason: "reads the auxiliary vector and environ"),
        KnownViolation(
            rule: pointers, path: "Sources/swrunc/Files.swift",
            reason: "a buffer for read(2) in place of the library's readFile"),
        KnownViolation(
            rule: layers, path: "Sources/ContainerKit/Children/SealedExecutable.swift",
            reason: "environ is the C library's"),
        KnownViolation(
            rule: layers, path: "Sources/ContainerKit/System/StartingUser.swift",
            reason: "getenv and getauxval are the C library's"),
        KnownViolation(
            rule: layers, path: "Sources/ContainerKit/Cgroups/Controllers/CPUController.swift",
            reason: "log2, pow and ceil are the C library's"),
    ]
}
