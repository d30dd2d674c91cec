// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection
internal import SystemPackage

/// The config that validate and audit look at: of a bundle, in a file, or from standard input.
struct ConfigSource {
    /// The name for messages, as the caller has written it.
    let name: String
    /// The bundle; nil for a config without one.
    let bundle: FilePath?
    /// The text of the config.
    let bytes: [UInt8]

    init(_ arguments: Arguments) throws(ContainerError) {
        let operand = arguments.operands.first
        if let operand {
            guard arguments.text(LaunchFlags.bundle) == nil else {
                throw ContainerError(
                    .invalidArgument, "--bundle and a file exclude each other",
                    hint: "leave out \(operand.debugDescription), or --bundle")
            }
            bundle = nil
            if operand == "-" {
                name = "standard input"
                bytes = try readStandardInput()
            } else {
                name = operand
                bytes = try ConfigFile.bytes(at: absolutePath(operand))
            }
            return
        }
        let given = arguments.text(LaunchFlags.bundle) ?? "."
        let directory = try absolutePath(given)
        bundle = directory
        name = FilePath(given).lexicallyNormalized().appending("config.json").string
        bytes = try ConfigFile.bytes(at: directory.appending("config.json"))
    }

    /// The config as JSON.
    func document() throws(ContainerError) -> JSONValue {
        do {
            return try JSONValue(json: bytes)
        } catch {
            throw ContainerError(
                .invalidSpec, "\(name) is not JSON: \(error)", hint: "correct it there first")
        }
    }
}
