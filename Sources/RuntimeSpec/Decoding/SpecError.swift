// SPDX-License-Identifier: Apache-2.0

/// One violation of the specification.
public struct SpecError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The field that is wrong.
    public let path: JSONPath
    /// What is wrong with it and what was expected.
    public let message: String
    /// The place in the specification that says so, such as `config-linux.md, Namespaces`.
    public let section: String?
    /// What the document itself calls the list element that `path` leads into, such as the
    /// destination of a mount.
    public let subject: String?

    /// A violation at `path`.
    public init(
        _ path: JSONPath, _ message: String, section: String? = nil, subject: String? = nil
    ) {
        self.path = path
        self.message = message
        self.section = section
        self.subject = subject
    }

    /// One line: the path, the name of the list element it leads into, and the message.
    public var description: String {
        guard path != .root else { return message }
        return "\(Self.place(path.description, subject, before: message)): \(message)"
    }
}

/// Every violation that was found in one document, in the order of the document and the rules.
public struct SpecErrors: Error, Equatable, Sendable, CustomStringConvertible {
    /// The violations; never empty.
    public let violations: [SpecError]

    /// An error for `violations`, or nil if there are none.
    public init?(_ violations: [SpecError]) {
        guard !violations.isEmpty else { return nil }
        self.violations = violations
    }

    /// An error for one violation.
    public init(_ violation: SpecError) {
        violations = [violation]
    }

    /// One line: all violations, separated by `; `.
    public var description: String {
        violations.map(\.description).joined(separator: "; ")
    }
}

/// Why a text could not be decoded as a document of the specification.
public enum SpecDecodingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The text is not JSON.
    case syntax(JSONSyntaxError)
    /// Fields are missing, of the wrong type or out of range.
    case fields(SpecErrors)

    /// One line that names every place and what is wrong there.
    public var description: String {
        switch self {
        case .syntax(let error): error.description
        case .fields(let errors): errors.description
        }
    }
}
