// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    private static let interval = Flag(
        "interval", nil, .text, "time between two statistics, such as 500ms or 1m30s",
        standard: "5s")
    private static let stats = Flag(
        "stats", nil, .toggle, "print the statistics once, at once, and no events")

    static var events: Command {
        Command(
            name: "events", summary: "print what a container uses, and when it runs out of memory",
            operands: containerOperand,
            details: """
                Each event is a line of JSON: {"type":"stats" or "oom","id":...,"data":...}. The command
                ends with the container.
                """,
            flags: [interval, stats],
            perform: { invocation throws(ContainerError) in
                let text = invocation.arguments.text(interval) ?? "5s"
                guard let time = Duration(goText: text) else {
                    throw ContainerError(
                        .invalidArgument,
                        "invalid value \(text.debugDescription) for flag -interval: parse error",
                        hint: "a number and a unit, such as 500ms, 5s or 1m30s")
                }
                guard time > .zero else {
                    throw ContainerError(
                        .invalidArgument, "duration interval must be greater than 0")
                }
                let container = try invocation.container()
                if invocation.arguments.has(stats) {
                    let event = ContainerEvent.statistics(try container.statisticsWhileRunning())
                    try StandardOutput.write(line(of: event, container.id))
                    return 0
                }
                try container.watch(every: time) { event throws(ContainerError) in
                    try StandardOutput.write(line(of: event, container.id))
                }
                return 0
            })
    }

    /// One event in runc's format.
    static func line(of event: ContainerEvent, _ id: String) -> [UInt8] {
        var object = JSONObject()
        switch event {
        case .statistics(let statistics):
            object = ["type": .string("stats"), "id": .string(id), "data": statistics.encoded]
        case .outOfMemory:
            object = ["type": .string("oom"), "id": .string(id)]
        }
        return JSONValue.object(object).encoded() + [UInt8(ascii: "\n")]
    }
}

extension Duration {
    /// Parses a Go duration, such as `1m30s` or `1.5h`; nil if it is invalid or longer than 290
    /// years.
    init?(goText text: String) {
        if text == "0" {
            self = .zero
            return
        }
        var rest = text.utf8[...]
        guard !rest.isEmpty else { return nil }
        var nanoseconds = 0.0
        while !rest.isEmpty {
            let number = rest.prefix {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".")
            }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix {
                !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) && $0 != UInt8(ascii: ".")
            }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(Substring(number)),
                let size = Self.nanosecondsPerUnit[String(Substring(unit))]
            else { return nil }
            nanoseconds += value * size
        }
        guard nanoseconds < 9.2e18 else { return nil }
        self = .nanoseconds(Int64(nanoseconds))
    }

    private static let nanosecondsPerUnit: [String: Double] = [
        "ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9,
    ]
}
