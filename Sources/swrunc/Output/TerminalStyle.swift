// SPDX-License-Identifier: Apache-2.0

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// Colours and weights of text for people, or none.
///
/// They are used only on a terminal that knows them, unless the user has set NO_COLOR
/// (https://no-color.org): files, pipes and programs always get the plain text.
struct TerminalStyle: Equatable, Sendable {
    /// One way to emphasise text.
    ///
    /// Standard: ECMA-48, 8.3.117, Select Graphic Rendition.
    enum Emphasis: Int, CaseIterable, Sendable {
        case bold = 1
        case dim = 2
        case red = 31
        case green = 32
        case yellow = 33
    }

    /// Whether text gets escape sequences.
    let isOn: Bool

    /// Text as it is.
    static let plain = TerminalStyle(isOn: false)

    init(isOn: Bool) {
        self.isOn = isOn
    }

    /// The style for one of this process's streams.
    init(of descriptor: CInt) {
        self.init(isTerminal: isatty(descriptor) == 1, variable: EnvironmentVariable.text)
    }

    /// The style for a stream.
    ///
    /// - Parameters:
    ///   - isTerminal: whether the stream is a terminal.
    ///   - variable: the value of an environment variable; nil if it is not set.
    init(isTerminal: Bool, variable: (String) -> String?) {
        // A NO_COLOR that is empty counts as not set.
        let isRefused = !(variable("NO_COLOR") ?? "").isEmpty
        isOn = isTerminal && !isRefused && Self.isKnown(variable("TERM"))
    }

    /// Whether the terminal named by TERM interprets escape sequences.
    static func isKnown(_ terminal: String?) -> Bool {
        // Without TERM, nothing is known of the terminal.
        !["", "dumb"].contains(terminal ?? "")
    }

    /// The text, emphasised if the style is on.
    func apply(_ emphases: Emphasis..., to text: String) -> String {
        guard isOn, !text.isEmpty, !emphases.isEmpty else { return text }
        let codes = emphases.map { "\($0.rawValue)" }.joined(separator: ";")
        return "\u{1b}[\(codes)m\(text)\u{1b}[0m"
    }
}

/// A variable of this process's environment.
enum EnvironmentVariable {
    /// The value; nil if it is not set.
    static func text(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        return String(cString: value)
    }
}
