// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

extension ProgramImage {
    /// One instruction as text, such as `openat2($rootfs, "proc", …) -> $target`.
    package func rendered(_ index: Int) -> String {
        switch instruction(index) {
        case .call(let call, let operands, let result, let ignoring, _):
            let arguments = operands.indices.map { place in
                if case .address(let offset) = operands[place],
                    let structure = structure(
                        at: offset, operand: place, of: call, operands, instruction: index)
                {
                    return structure
                }
                return rendered(operands[place])
            }
            var text = call.name + "(" + arguments.joined(separator: ", ") + ")"
            if let result { text += " -> $" + cellNames[result.index].text }
            if !ignoring.isEmpty {
                text += " unless " + ignoring.map(\.name).joined(separator: ", ")
            }
            if let note = note(of: index), call.name == "close", operands == [.literal(-1)] {
                text = "stop: " + note
            }
            return text
        case .copy(let cell, _, let width):
            return "copy $\(cellNames[cell.index].text) into memory (\(width) bytes)"
        case .copyTree: return "copy the tree of $source to $target"
        case .skip(let test, let mask, let value, let distance):
            let condition: String =
                switch test {
                case .cellAddress(let cell) where mask == Int.min:
                    "$\(cellNames[cell.index].text) \(value == 0 ? "succeeded" : "failed")"
                case .cellAddress(let cell) where value < 0:
                    "$\(cellNames[cell.index].text) failed with "
                        + Errno(rawValue: CInt(clamping: -value)).name
                case .cellAddress(let cell): "$\(cellNames[cell.index].text) is \(value)"
                case _ where mask == 0: "always"
                case .address(let offset):
                    condition(at: offset, mask: mask, value: value, instruction: index)
                case .progress(0): "the progress page has no error"
                case .literal, .named, .cell, .text, .progress:
                    "the progress page says \(value)"
                }
            return "skip \(distance) if \(condition)"
        }
    }

    /// A text of the memory, up to its NUL.
    func text(at offset: Int) -> String {
        String(decoding: data[offset...].prefix { $0 != 0 }, as: UTF8.self)
    }

    fileprivate func rendered(_ operand: Operand) -> String {
        switch operand {
        case .literal(let value): String(value)
        case .named(let number): number.description
        case .cell(let cell): "$" + cellNames[cell.index].text
        case .address: "memory"
        case .text(let offset): "\"\(text(at: offset))\""
        case .cellAddress(let cell): "&$" + cellNames[cell.index].text
        case .progress: "progress"
        }
    }
}

extension ProgramImage {
    /// The operands that are readable: texts, names and numbers, but no addresses.
    package func renderedArguments(_ operands: [Operand]) -> String {
        let arguments: [String] = operands.compactMap { operand in
            switch operand {
            case .text(let offset) where data[offset] == 0: nil
            case .text, .named, .cell: rendered(operand)
            case .literal(let value) where value != 0: value.decimalText
            default: nil
            }
        }
        return String.joined(arguments, by: ", ")
    }
}
#endif
