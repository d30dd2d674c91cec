// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import InitProgram

/// The position of the child in its column.
struct PlanMark {
    let step: Int
    let instruction: Int
    /// Whether the child notes when its steps begin, so that its program has more instructions.
    let isTimed: Bool
}

extension LaunchPlan {
    /// The plan as text: two numbered columns, optionally with the system calls of each child step.
    ///
    /// Each line has the form `number  config field  sentence`. With a mark, the child's column is
    /// indented, and `=>` marks the step and the call that the child has reached. With calls, the
    /// first line says which ones are not listed.
    func explained(includingCalls: Bool = false, mark: PlanMark? = nil) -> String {
        var lines = includingCalls ? [Self.unlistedCalls, ""] : []
        lines.append("The runtime:")
        lines += Self.lines(parentSteps.map { ($0.origin, $0.step.action.sentence) })
        lines += ["", "The init process:"]
        let image = includingCalls ? lowered(isTimed: mark?.isTimed == true) : nil
        let child = Self.lines(childSteps.map { ($0.origin, $0.step.sentence) })
        let blank = mark == nil ? "" : "   "
        for (index, line) in child.enumerated() {
            lines.append((index == mark?.step ? "=> " : blank) + line)
            guard let image else { continue }
            for instruction in image.instructions(ofStep: index) {
                lines.append(
                    (instruction == mark?.instruction ? "=> " : blank) + "         "
                        + Printable.text(image.rendered(instruction)))
            }
        }
        if !laterSteps.isEmpty {
            lines += ["", "Later, in start and delete:"]
            lines += Self.lines(laterSteps.map { ($0.origin, $0.step.action.sentence) })
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Which calls of init are not in its column.
    static let unlistedCalls =
        "Not listed: the calls by which init is born (the runtime's step \"clone the child\"), and a "
        + "madvise that gives memory back before init waits for start."

    private static func lines(_ steps: [(origin: Origin, sentence: String)]) -> [String] {
        let width = steps.map(\.origin.description.count).max() ?? 0
        return steps.enumerated().map { index, step in
            let (number, field) = (String(index + 1), step.origin.description)
            return String(repeating: " ", count: max(0, 4 - number.count)) + number + "  " + field
                + String(repeating: " ", count: width - field.count) + "  "
                // Texts of a config must not look like further lines, or control a terminal.
                + Printable.text(step.sentence)
        }
    }
}
#endif
