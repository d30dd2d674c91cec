// SPDX-License-Identifier: Apache-2.0

/// One flag of a command: its names, its kind of value, and its line in the help.
struct Flag: Sendable {
    /// The kind of value.
    enum Value: Equatable, Sendable {
        /// No value, or `=true` or `=false` in the spellings of Go.
        case toggle
        /// Any text.
        case text
        /// Any bytes, not necessarily UTF-8.
        case bytes
        /// A decimal number.
        case number
        /// The ID of an existing container.
        case container
    }

    /// Which values are supported.
    enum Support: Sendable {
        /// All of them.
        case complete
        /// Only these values, which need no action; all others are refused rather than ignored.
        case only([String])
    }

    /// The long name, without dashes.
    let name: String
    /// The one-letter name, without its dash.
    let letter: String?
    let value: Value
    let summary: String
    /// The default value, as shown in the help.
    let standard: String?
    let support: Support

    init(
        _ name: String, _ letter: String? = nil, _ value: Value, _ summary: String,
        standard: String? = nil, support: Support = .complete
    ) {
        self.name = name
        self.letter = letter
        self.value = value
        self.summary = summary
        self.standard = standard
        self.support = support
    }

    /// The flag for help, which every command has.
    static let help = Flag("help", "h", .toggle, "show this help")

    /// Whether `name`, without dashes, is one of the flag's names.
    func isNamed(_ name: String) -> Bool {
        name == self.name || name == letter ?? ""
    }

    /// Whether `value` is supported.
    func supports(_ value: String) -> Bool {
        switch support {
        case .complete: true
        case .only(let harmless): harmless.contains(value)
        }
    }
}
