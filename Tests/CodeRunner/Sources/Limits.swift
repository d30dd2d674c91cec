// SPDX-License-Identifier: Apache-2.0

internal import Hummingbird

/// What a program may use.
struct Limits: Sendable {
    static let seconds = 0.01...86_400.0
    /// A sandbox with less cannot start a program.
    static let memory: ClosedRange<Int64> = 1 << 20...1 << 50
    static let processes: ClosedRange<Int64> = 1...1 << 22
    static let cpus = 0.01...1_000_000.0

    var seconds: Double
    /// Bytes.
    var memory: Int64
    var processes: Int64
    var cpus: Double

    /// These limits with what a client asks for in place of them.
    ///
    /// - Throws: status 400 for more than these allow, and for what no program could run with.
    func lowered(to asked: AskedLimits) throws(HTTPError) -> Limits {
        Limits(
            seconds: try Self.chosen("seconds", asked.seconds, Self.seconds, most: seconds),
            memory: try Self.chosen("memory", asked.memory, Self.memory, most: memory),
            processes: try Self.chosen(
                "processes", asked.processes, Self.processes, most: processes),
            cpus: try Self.chosen("cpus", asked.cpus, Self.cpus, most: cpus))
    }

    private static func chosen<Number: Comparable>(
        _ name: String, _ asked: Number?, _ range: ClosedRange<Number>, most: Number
    ) throws(HTTPError) -> Number {
        guard let asked else { return most }
        guard asked >= range.lowerBound, asked <= most else {
            throw HTTPError(
                .badRequest,
                message: "limits.\(name): \(asked) is not in \(range.lowerBound)...\(most)")
        }
        return asked
    }
}

/// The limits that a client asks for; nil is the service's own.
struct AskedLimits: Sendable {
    var seconds: Double?
    var memory: Int64?
    var processes: Int64?
    var cpus: Double?
}
