// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection
internal import SystemPackage

extension Command {
    private static let output = Flag(
        "output", "o", .text, "file that the text replaces at once, as collectors need it")
    private static let labels = Flag(
        "labels", nil, .text,
        "annotations that become labels of container_info, with commas between")

    static var metrics: Command {
        Command(
            name: "metrics", summary: "print what containers use, as OpenMetrics for Prometheus",
            operands: containersOperand, operandCount: 0...Int.max,
            details: """
                All containers under --root, or those that are named. One that cannot be read is left
                out with a warning, and container_scrape_error is 1.

                An annotation KEY becomes the label annotation_KEY; what a label may not have becomes _.
                """,
            flags: [output, labels], isQuery: true, perform: performMetrics)
    }

    private static func performMetrics(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        let arguments = invocation.arguments
        let keys = arguments.texts(labels).flatMap { $0.split(separator: ",").map(String.init) }
        let metrics = try ContainerMetrics(
            of: invocation.store,
            ids: arguments.operands.isEmpty ? nil : arguments.operands, annotations: keys
        ) { id, reason in
            StandardError.write("load container \(id): \(reason)\n")
        }
        if let text = arguments.text(output) {
            try metrics.write(to: try absolutePath(text))
        } else {
            try StandardOutput.write(metrics.openMetrics)
        }
        return 0
    }
}
