// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("events", Host.root)
struct EventsTests {
    /// A nested member of an object, by the names that lead to it.
    private func member(_ value: JSONValue, _ names: String...) throws -> JSONValue {
        var value = value
        for name in names {
            guard case .object(let object) = value, let next = object[name] else {
                throw CallError("no \(name)")
            }
            value = next
        }
        return value
    }

    private func number(_ value: JSONValue) -> Int64 {
        if case .integer(let number) = value { return number }
        return value == .unsigned(.max) ? .max : 0
    }

    @Test("events --stats prints one line with the container's usage and limits")
    func statistics() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.memory = MemoryResources(limit: 64 << 20)
            bundle.linux.resources?.pids = PidsResources(limit: 50)
            try bundle.startSleeping()
            let done = try bundle.swrunc("events", "--stats", bundle.id)
            try #require(done.status == 0 && done.error == "", "\(done)")
            #expect(done.output.lines.count == 1)
            let event = try JSONValue(json: Array(done.text.utf8))
            #expect(try member(event, "type") == .string("stats"))
            #expect(try member(event, "id") == .string(bundle.id))
            let data = try member(event, "data")
            #expect(try member(data, "memory", "usage", "limit") == .integer(64 << 20))
            #expect(number(try member(data, "memory", "usage", "usage")) > 0)
            _ = try member(data, "memory", "raw", "pgfault")
            #expect(try member(data, "pids", "limit") == .integer(50))
            #expect(try member(data, "pids", "current") == .integer(1))
            #expect(number(try member(data, "cpu", "usage", "total")) > 0)
        }
    }

    @Test(
        "events prints statistics at intervals, out-of-memory at once, and ends with the container"
    )
    func outOfMemory() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.memory = MemoryResources(limit: 32 << 20)
            try bundle.startSleeping()
            let events = try bundle.start(["events", "--interval", "100ms", bundle.id])
            #expect(waits { events.output.lines.count > 2 })
            let done = try bundle.swrunc(
                "exec", bundle.id, "dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1")
            #expect(done.status == 128 + SIGKILL, "\(done)")
            #expect(
                waits { events.output.contains(#"{"type":"oom","id":"\#(bundle.id)"}"#) },
                "\(events.output)")
            #expect(try bundle.swrunc("kill", bundle.id, "KILL").status == 0)
            let finished = try events.wait()
            #expect(finished.status == 0 && finished.error == "", "\(finished)")
            let kills = finished.output.lines.filter { $0.hasPrefix(#"{"type":"oom""#) }
            #expect(kills.count == 1)
        }
    }

    @Test("an init killed for lack of memory is reported before the end")
    func initOutOfMemory() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.resources?.memory = MemoryResources(limit: 16 << 20)
            bundle.process.args = ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"]
            try bundle.create()
            let events = try bundle.start(["events", "--interval", "1h", bundle.id])
            #expect(
                waits {
                    let files = "/proc/\(events.pid)/fd"
                    return entries(of: files).contains {
                        readLink("\(files)/\($0)").hasPrefix("anon_inode:")
                    }
                }, "the command watches")
            usleep(50_000)
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            let finished = try events.wait()
            #expect(finished.output == #"{"type":"oom","id":"\#(bundle.id)"}"# + "\n")
            #expect(finished.status == 0, "\(finished)")
        }
    }

    @Test("events refuses a stopped container and an invalid interval")
    func refused() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/true"]
            try bundle.create()
            for interval in ["0s", "-1s", "soon"] {
                let done = try bundle.swrunc("events", "--interval", interval, bundle.id)
                bundle.expectFailure(done, naming: ["interval"])
            }
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.waits(for: .stopped))
            for words in [["events"], ["events", "--stats"]] {
                bundle.expectFailure(
                    try bundle.start(words + [bundle.id]).wait(),
                    naming: ["container with id \(bundle.id) is not running"])
            }
        }
    }
}
