// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "swrunc",
    products: [
        // Pure: on every system.
        .library(name: "RuntimeSpec", targets: ["RuntimeSpec"]),
        .library(name: "ContainerKit", targets: ["ContainerKit"]),
        .library(name: "ContainerKitAsync", targets: ["ContainerKitAsync"]),
        .library(name: "ContainerKitCodable", targets: ["ContainerKitCodable"]),
        .library(name: "ContainerKitInspection", targets: ["ContainerKitInspection"]),
        .executable(name: "swrunc", targets: ["swrunc"]),
    ],
    traits: [
        .default(enabledTraits: ["CLibraries"]),
        // One for both: of several, SwiftPM 6.3 passes the names to the compiler in an order that
        // changes, and then compiles everything again.
        .trait(
            name: "CLibraries",
            description: """
                Profiles of system calls by libseccomp, without which each is an error, and names \
                of capabilities by libcap, without which they are those of RuntimeSpec.
                """),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        // System calls, kernel structures and the layout of a machine instruction; header only.
        .target(name: "CLinux"),
        // The command line as the C library has it.
        .target(name: "ProgramArguments"),
        // The commit that the binary was built from, which the link tells.
        .target(name: "BuildCommit"),
        .systemLibrary(name: "CCap", pkgConfig: "libcap", providers: [.apt(["libcap-dev"])]),
        .systemLibrary(
            name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
        // The child: the clones, and the machine, which refers to nothing outside of its section.
        .target(name: "InitMachine", dependencies: ["CLinux"]),
        // Pure: texts as bytes. Arguments and variables of programs, paths, words, numbers.
        .target(name: "ByteText", swiftSettings: strict),
        // Pure: the numbers of the kernel's headers with their names.
        .target(
            name: "KernelVocabulary",
            dependencies: [.product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: strict),
        // Pure: the model of config.json, its decoding and its rules.
        .target(name: "RuntimeSpec", dependencies: ["ByteText"], swiftSettings: strict),
        // Pure: steps, plans, their lowering to machine instructions, explain.
        .target(
            name: "InitProgram",
            dependencies: [
                "ByteText", "CLinux", "KernelVocabulary",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .target(
            name: "ContainerKit",
            dependencies: [
                "BuildCommit", "ByteText", "CLinux", "InitMachine", "InitProgram",
                "KernelVocabulary", "RuntimeSpec",
                .target(name: "CCap", condition: .when(traits: ["CLibraries"])),
                .target(name: "CSeccomp", condition: .when(traits: ["CLibraries"])),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        // Containers of tasks: the command does without the start of the concurrency runtime.
        .target(
            name: "ContainerKitAsync",
            dependencies: [
                "ContainerKit", .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        // Coders of the standard library, of which the command carries nothing.
        .target(
            name: "ContainerKitCodable", dependencies: ["ContainerKit"], swiftSettings: strict),
        // What operators ask of configs, hosts and containers.
        .target(
            name: "ContainerKitInspection",
            dependencies: [
                "ByteText", "ContainerKit", "KernelVocabulary", "RuntimeSpec",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "swrunc",
            dependencies: [
                "ContainerKit", "ContainerKitInspection", "ProgramArguments",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            exclude: ["startup-order.txt", "layout.ld"], swiftSettings: strict),
        // The program of the README, kept equal to it by a test.
        .executableTarget(
            name: "EmbeddingExample",
            dependencies: [
                "ContainerKit", .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/EmbeddingExample", swiftSettings: strict),
        // The pieces of the article on embedding, kept equal to it by a test.
        .target(
            name: "EmbeddingSnippets",
            dependencies: [
                "ContainerKitAsync", .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/EmbeddingSnippets", swiftSettings: strict),
        .testTarget(
            name: "RuntimeSpecTests", dependencies: ["RuntimeSpec"], swiftSettings: strict),
        .testTarget(
            name: "InitProgramTests",
            dependencies: [
                "CLinux", "InitProgram", "KernelVocabulary",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "InitMachineTests",
            dependencies: [
                "CLinux", "ContainerKit", "InitMachine", "InitProgram", "KernelVocabulary",
                "RuntimeSpec",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(name: "TidyTests", swiftSettings: strict),
        .testTarget(
            name: "ContainerKitTests",
            dependencies: [
                "CCap", "CLinux", "CSeccomp", "ContainerKit", "ContainerKitCodable", "InitProgram",
                "KernelVocabulary", "RuntimeSpec",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            exclude: ["Plans"], swiftSettings: strict),
        .testTarget(
            name: "InspectionTests",
            dependencies: [
                "ContainerKit", "ContainerKitInspection", "RuntimeSpec",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "ContainerKit", "ContainerKitInspection", "swrunc",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            exclude: ["Help"], swiftSettings: strict),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "CLinux", "ContainerKit", "ContainerKitAsync", "EmbeddingSnippets", "InitProgram",
                "KernelVocabulary",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
