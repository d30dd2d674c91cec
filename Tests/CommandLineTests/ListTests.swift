// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Testing

@testable import swrunc

@Suite("list with columns and filters")
struct ListTests {
    private func state(
        _ id: String, _ status: State.Status = .running, annotations: [String: String]? = nil
    ) -> State {
        State(
            ociVersion: "1.3.0", id: id, pid: 7, status: status, bundle: "/b/\(id)",
            rootfs: "/b/\(id)/rootfs", created: "1970-01-02T00:00:00.5Z", annotations: annotations,
            owner: "root")
    }

    @Test("a format with columns has these in their order, with a header")
    func columns() throws {
        let columns = try #require(try ListColumns(format: "table status,ID pid"))
        let lines = columns.table(of: [state("a")], now: nil).split(separator: "\n").map { line in
            line.split(separator: " ").joined(separator: " ")
        }
        #expect(lines == ["STATUS ID PID", "running a 7"])
    }

    @Test(
        "formats of runc have no chosen columns", arguments: ["table", "json", "", "xml", "id,pid"])
    func plainFormats(_ format: String) throws {
        #expect(try ListColumns(format: format) == nil)
    }

    @Test("an unknown column is refused by its name")
    func unknownColumn() {
        #expect {
            _ = try ListColumns(format: "table id,color")
        } throws: { error in
            "\(error)" == "--format: no column \"color\""
        }
    }

    @Test("times are as in the state, and on a terminal relative to now")
    func times() throws {
        let columns = try #require(try ListColumns(format: "table created"))
        #expect(columns.table(of: [state("a")], now: nil) == "CREATED\n1970-01-02T00:00:00.5Z\n")
        #expect(columns.table(of: [state("a")], now: 86_400 + 125) == "CREATED\n2 minutes ago\n")
    }

    @Test(
        "ages have the largest unit that fits, and one of a clock that was set back is now",
        arguments: [
            (0 as Int64, "now"), (-5, "now"), (1, "1 second ago"), (59, "59 seconds ago"),
            (60, "1 minute ago"), (7199, "1 hour ago"), (172_800, "2 days ago"),
        ])
    func ages(_ seconds: Int64, _ expected: String) {
        #expect(ListColumns.age(seconds: seconds) == expected)
    }

    @Test("of filters with one key one must match, and of each key one")
    func filters() throws {
        let states = [
            state("a", annotations: ["app": "web=1"]), state("b", .paused), state("c", .stopped),
        ]
        func ids(_ texts: String...) throws -> [String] {
            states.filter(try ListFilter(texts).matches).map(\.id)
        }
        #expect(try ids() == ["a", "b", "c"])
        #expect(try ids("status=paused") == ["b"])
        #expect(try ids("status=paused", "status=stopped") == ["b", "c"])
        #expect(try ids("status=paused", "id=a") == [])
        #expect(try ids("annotation.app=web=1") == ["a"])
        #expect(try ids("owner=root", "bundle=/b/c") == ["c"])
    }

    @Test(
        "a filter that cannot match is refused",
        arguments: ["status", "status=gone", "color=red", "annotation.=x", "=", ""])
    func wrongFilters(_ text: String) {
        #expect(throws: ContainerError.self) { try ListFilter([text]) }
    }
}
