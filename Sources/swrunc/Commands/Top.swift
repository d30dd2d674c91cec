// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

extension Command {
    private static let interval = Flag(
        "interval", "d", .text, "time between two readings: seconds, or such as 500ms or 1m30s",
        standard: "1s")
    private static let sort = Flag(
        "sort", "o", .text, "what rows are sorted by: cpu, memory, io, pids, pressure or id",
        standard: "cpu")
    private static let all = Flag(
        "all", "a", .toggle, "show also containers that are being created or have stopped")
    private static let once = Flag(
        "once", nil, .toggle, "print one table after one interval; needs no terminal")
    private static let format = Flag(
        "format", "f", .text, "table or, with --once, json", standard: "table")

    static var top: Command {
        Command(
            name: "top", summary: "show what containers use, again and again",
            operands: containersOperand, operandCount: 0...Int.max,
            details: """
                All containers under --root, or those that are named. CPU% is of one CPU. MEM is without
                page cache that has not been used lately, LIMIT is the container's own. READ/S and
                WRITE/S are bytes of block devices per second. CPU-P, MEM-P and IO-P are pressure: the
                percentage of the last ten seconds in which a process waited. - is unknown.

                Keys: q quits; c, m, i, p, w and n sort by CPU, memory, I/O, pids, pressure (waiting) and
                id, < and > by the column before and after; r reverses; a shows all or not; space reads
                at once; arrows, page up and down, home and end scroll.
                """,
            flags: [interval, sort, all, once, format], isQuery: true, perform: performTop)
    }

    private static func performTop(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        let arguments = invocation.arguments
        let (time, timeText) = try topInterval(arguments.text(interval) ?? "1s")
        var view = TopView()
        if let name = arguments.text(sort) {
            guard let order = TopOrder(rawValue: name) else {
                throw ContainerError(
                    .invalidArgument, "--sort: no column \(name.debugDescription)",
                    hint: "columns are " + TopOrder.allCases.map(\.rawValue).joined(separator: ", ")
                )
            }
            view.order = order
        }
        let ids = arguments.operands.isEmpty ? nil : arguments.operands
        view.showsAll = arguments.has(all) || ids != nil
        let format = arguments.text(format) ?? "table"
        guard format == "table" || format == "json" else {
            throw ContainerError(.invalidArgument, "invalid format option", hint: "table or json")
        }
        let meter = UsageMeter(of: invocation.store, ids: ids)
        if arguments.has(once) {
            let usages = view.rows(of: try readTwice(meter, after: time))
            try StandardOutput.write(
                format == "json" ? topJSON(of: usages) : topTable(of: usages))
            return 0
        }
        guard format == "table" else {
            throw ContainerError(.invalidArgument, "--format json needs --once")
        }
        let terminal = try TopTerminal()
        var loop = try TopLoop(invocation.program, meter, view, every: time, timeText)
        return try loop.run(on: terminal)
    }

    /// The time between two readings: seconds as in top(1), or a duration.
    ///
    /// - Returns: the time, and its text for people.
    static func topInterval(_ text: String) throws(ContainerError) -> (Duration, String) {
        let isNumber = text.utf8.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".")
        }
        let shown = isNumber ? text + "s" : text
        guard let time = Duration(goText: shown) else {
            throw ContainerError(
                .invalidArgument, "--interval: \(text.debugDescription) is not a time",
                hint: "a number of seconds, or a number and a unit such as 500ms or 1m30s")
        }
        // Faster readings show nothing but themselves.
        guard time >= .milliseconds(100) else {
            throw ContainerError(
                .invalidArgument, "--interval: \(text.debugDescription) is too short",
                hint: "100ms or more")
        }
        return (time, shown)
    }

    /// Two readings, for the rates of the second; without containers there is nothing to wait for.
    private static func readTwice(_ meter: UsageMeter, after interval: Duration)
        throws(ContainerError) -> [ContainerUsage]
    {
        var meter = meter
        let end = ContinuousClock.now + interval
        var isEmpty = true
        let first = try meter.read { _, _ in isEmpty = false }
        if isEmpty, first.isEmpty { return [] }
        while ContinuousClock.now < end { _ = poll(nil, 0, end.millisecondsLeft) }
        return try meter.read { id, reason in
            StandardError.write(Printable.text("load container \(id): \(reason)") + "\n")
        }
    }

    private static func topTable(of usages: [ContainerUsage]) -> String {
        let lines = TopTable(usages: usages).lines(TerminalStyle(of: 1))
        return lines.map { $0 + "\n" }.joined()
    }

    private static func topJSON(of usages: [ContainerUsage]) -> String {
        String(decoding: JSONValue.array(usages.map(\.encoded)).encoded(), as: UTF8.self) + "\n"
    }
}
