// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    static var features: Command {
        Command(
            name: "features", summary: "print what this runtime can do as JSON",
            operandCount: 0...0, details: "The document is the specification's features.md.",
            isQuery: true,
            perform: { _ throws(ContainerError) in
                let features = RuntimeFeatures.current().encoded.encoded(pretty: true)
                try StandardOutput.write(features + [UInt8(ascii: "\n")])
                return 0
            })
    }
}
