// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// The programs of conformance/security/coverage, which builds them with --sanitize=fuzzer: that also
// instruments the modules under test.
let package = Package(
    name: "fuzzers",
    dependencies: [.package(name: "swrunc", path: "../../..")],
    targets: [
        // What holds for every input, and how inputs are changed.
        .target(
            name: "FuzzRules",
            dependencies: ["CMemory", .product(name: "RuntimeSpec", package: "swrunc")]),
        .systemLibrary(name: "CMemory"),
        // The reader and writer of JSON, and the documents of the specification.
        .executableTarget(
            name: "fuzz-config",
            dependencies: ["FuzzRules", .product(name: "RuntimeSpec", package: "swrunc")]),
        // What the library reads besides: records, messages, texts of the kernel; and plans.
        .executableTarget(
            name: "fuzz-host",
            dependencies: ["FuzzRules", .product(name: "ContainerKit", package: "swrunc")]),
    ],
    swiftLanguageModes: [.v6]
)
