// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram

/// A Linux signal, identified by its number.
///
/// Kernel: signal(7), with the numbers of x86_64 and aarch64. Real-time signals start at 34, as in
/// libc; 32 and 33 belong to libc's threads, but can be sent by number.
public struct Signal: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number of the signal, 1 to 64; 0 only checks whether a process exists.
    public let rawValue: Int32

    /// A signal with a number that kill(2) accepts: 0 to 64.
    public init?(rawValue: Int32) {
        guard (0...64).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    private init(_ number: Int32) {
        rawValue = number
    }

    /// SIGHUP.
    public static let hangUp = Signal(1)
    /// SIGINT.
    public static let interrupt = Signal(2)
    /// SIGKILL, which no process can catch.
    public static let kill = Signal(9)
    /// SIGALRM.
    public static let alarm = Signal(14)
    /// SIGTERM, what `kill` sends by default.
    public static let terminate = Signal(15)
    /// SIGCHLD.
    public static let child = Signal(17)
    /// SIGCONT.
    public static let `continue` = Signal(18)
    /// SIGSTOP, which no process can catch.
    public static let stop = Signal(19)
    /// SIGWINCH.
    public static let windowChange = Signal(28)
    /// Signal 0: delivers nothing, only checks whether a signal could be sent.
    public static let probe = Signal(0)

    /// How a process killed by this signal is described: "killed", "bad system call".
    ///
    /// The words are those in runc's errors.
    var words: String {
        let index = Int(rawValue) - 1
        return Self.words.indices.contains(index) ? Self.words[index] : "signal \(rawValue)"
    }

    private static let words = [
        "hangup", "interrupt", "quit", "illegal instruction", "trace/breakpoint trap", "aborted",
        "bus error", "floating point exception", "killed", "user defined signal 1",
        "segmentation fault", "user defined signal 2", "broken pipe", "alarm clock", "terminated",
        "stack fault", "child exited", "continued", "stopped (signal)", "stopped",
        "stopped (tty input)", "stopped (tty output)", "urgent I/O condition",
        "CPU time limit exceeded", "file size limit exceeded", "virtual timer expired",
        "profiling timer expired", "window changed", "I/O possible", "power failure",
        "bad system call",
    ]

    private static let lowestRealTime: Int32 = 34
    private static let highestRealTime: Int32 = 64

    /// Parses a signal as people write it: "TERM", "sigterm", "15", "RTMIN+3", "SIGRTMAX-1".
    ///
    /// `0` is accepted only with `allowingProbe`.
    ///
    /// - Throws: an error whose text is `unknown signal "X"`.
    public init(parsing text: String, allowingProbe: Bool = false) throws(UnknownSignalError) {
        guard let number = Self.number(of: text), allowingProbe || number != 0,
            let signal = Signal(rawValue: number)
        else {
            throw UnknownSignalError(text: text)
        }
        self = signal
    }

    private static func number(of text: String) -> Int32? {
        if let number = Int32(text) { return number }
        var name = text.uppercased()[...]
        if name.begins(with: "SIG") { name = name.dropFirst(3) }
        if let number = aliases[String(name)] { return number }
        if let index = names.firstIndex(of: String(name)) { return Int32(index) + 1 }
        return realTimeNumber(of: name)
    }

    private static func realTimeNumber(of name: Substring) -> Int32? {
        let number: Int32
        if name == "RTMIN" {
            number = lowestRealTime
        } else if name == "RTMAX" {
            number = highestRealTime
        } else if let offset = digits(of: name, after: "RTMIN+") {
            number = lowestRealTime + offset
        } else if let offset = digits(of: name, after: "RTMAX-") {
            number = highestRealTime - offset
        } else {
            return nil
        }
        return (lowestRealTime...highestRealTime).contains(number) ? number : nil
    }

    private static func digits(of name: Substring, after prefix: String) -> Int32? {
        guard name.begins(with: prefix) else { return nil }
        // One byte is enough for the number, so that no sum can overflow.
        return UInt8(name.dropFirst(prefix.count)).map(Int32.init)
    }

    /// The name as in signal(7): "SIGTERM", "SIGRTMIN+3"; the number if it has no name.
    public var description: String {
        if Self.names.indices.contains(Int(rawValue) - 1) {
            return "SIG" + Self.names[Int(rawValue) - 1]
        }
        switch rawValue {
        case Self.lowestRealTime: return "SIGRTMIN"
        case Self.highestRealTime: return "SIGRTMAX"
        case Self.lowestRealTime...Self.highestRealTime:
            return "SIGRTMIN+\(rawValue - Self.lowestRealTime)"
        default: return "\(rawValue)"
        }
    }

    /// The names of signals 1 to 31, without "SIG".
    private static let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ]

    /// Alternative names from signal(7).
    private static let aliases: [String: Int32] = ["IOT": 6, "CLD": 17, "POLL": 29, "UNUSED": 31]
}

/// A text that is not the name of a signal.
///
/// The description is the text that engines search for: `unknown signal "X"`.
public struct UnknownSignalError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The given text.
    public let text: String

    /// An error for a text that is not the name of a signal.
    public init(text: String) {
        self.text = text
    }

    /// `unknown signal "X"`, with the text quoted.
    public var description: String {
        "unknown signal \(text.debugDescription)"
    }
}
#endif
