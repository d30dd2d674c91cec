// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// A program that embeds the library, for conformance/instrumented/run.
let package = Package(
    name: "instrumented-host",
    dependencies: [.package(name: "swrunc", path: "../../..")],
    targets: [
        .executableTarget(
            name: "instrumented-host",
            dependencies: [.product(name: "ContainerKitAsync", package: "swrunc")], path: "Sources")
    ],
    swiftLanguageModes: [.v6]
)
