// SPDX-License-Identifier: Apache-2.0

/// One flag of a command: how it is written, what it takes, and its line in the help.
struct Flag: Sendable {
    /// What follows the name.
    enum Value: Equatable, Sendable {
        /// Nothing, or `=true` and `=false` in the spellings of Go.
        case toggle
        /// Any text.
        case text
        /// Any bytes, which need not be UTF-8.
        case bytes
        /// A decimal number.
        case number
        /// The id of a container that is there.
        case container
    }

    /// Which values are acted on.
    enum Support: Sendable {
        /// All of them.
        case complete
        /// Only these, because nothing needs doing for them; all others are refused, not ignored.
        case only([String])
    }

    /// The long name, without dashes.
    let name: String
    /// The one-letter name, without its dash.
    let letter: String?
    let value: Value
    let summary: String
    /// What holds when the flag is absent, as the help tells it.
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

    /// The flag that every command has.
    static let help = Flag("help", "h", .toggle, "show this help")

    /// Whether `name`, without dashes, is one of the flag's names.
    func isNamed(_ name: String) -> Bool {
        name == self.name || name == letter ?? ""
    }

    /// Whether `value` is acted on.
    func supports(_ value: String) -> Bool {
        switch support {
        case .complete: true
        case .only(let harmless): harmless.contains(value)
        }
    }
}
