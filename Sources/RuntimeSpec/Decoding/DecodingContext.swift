// SPDX-License-Identifier: Apache-2.0

/// Where the decoder is in the document, and the violations found so far.
struct DecodingContext {
    /// One step into the document.
    enum Step {
        case key(String)
        case index(Int)
    }

    /// The section of the specification for the object being read.
    var section: String
    private(set) var violations: [SpecError] = []
    private var steps: [Step] = []
    private let start: JSONPath

    /// A context for a document that belongs at `start` in config.json; nil for config.json itself.
    init(section: String, startingAt start: String? = nil) {
        self.section = section
        self.start = start.map { "\($0)" } ?? .root
        // One allocation for the whole document.
        if start != nil || !section.isEmpty { steps.reserveCapacity(8) }
    }

    mutating func enter(_ step: Step) {
        steps.append(step)
    }

    mutating func leave() {
        steps.removeLast()
    }

    /// Records a violation at the current place.
    mutating func fail(_ message: String) {
        let path = steps.reduce(start) { path, step in
            switch step {
            case .key(let key): path.appending(key: key)
            case .index(let index): path.appending(index: index)
            }
        }
        violations.append(SpecError(path, message, section: section))
    }

    /// Drops all violations after the first `count`, because the values they concern are decoded
    /// again.
    mutating func forgetViolations(after count: Int) {
        violations.removeLast(violations.count - count)
    }

    /// Records that a value has the wrong type.
    mutating func mismatch(_ value: JSONValue, expected: String) {
        fail("found \(value.noun), expected \(expected)")
    }
}
