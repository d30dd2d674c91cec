// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit
@testable import ContainerKitInspection

@Suite("Spans as OTLP")
struct LaunchTraceTests {
    @Test("a launch is one line: the root span, and a child for each step, with string times")
    func line() throws {
        let parent = try #require(
            TraceContext(traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
        let trace = LaunchTrace(parent: parent)
        let start = trace.start
        trace.add(
            "init.mount", "mount \"x\"\n", "mounts[0]", .initProcess, from: start, to: start + 5)
        trace.add(
            "hook.prestart", "/hook", nil, .runtime, from: start + 6, to: start + 7, hasFailed: true
        )
        let line = trace.otlpLine(
            named: "swrunc create", container: "box", until: start + 9, failure: "no",
            service: "swrunc")
        #expect(line.utf8.last == UInt8(ascii: "\n"))
        #expect(line.utf8.filter { $0 == UInt8(ascii: "\n") }.count == 1)
        let version = RuntimeVersion.string
        let ids = trace.spans.map(\.context.spanID)
        func text(_ key: String, _ value: String) -> String {
            #"{"key":"\#(key)","value":{"stringValue":"\#(value)"}}"#
        }
        func span(_ id: String, _ parent: String, _ name: String, _ times: (Int, Int)) -> String {
            #"{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"\#(id)","#
                + #""parentSpanId":"\#(parent)","name":"\#(name)","kind":1,"#
                + #""startTimeUnixNano":"\#(start + times.0)","endTimeUnixNano":"\#(start + times.1)","#
        }
        let root = trace.context.spanID
        #expect(
            line == #"{"resourceSpans":[{"resource":{"attributes":["#
                + text("service.name", "swrunc") + "," + text("service.version", version)
                + #"]},"scopeSpans":[{"scope":{"name":"swrunc","version":"\#(version)"},"spans":["#
                + span(root, parent.spanID, "swrunc create", (0, 9)) + #""attributes":["#
                + text("container.id", "box") + #"],"status":{"code":2,"message":"no"}},"#
                + span(ids[0], root, "init.mount", (0, 5)) + #""attributes":["#
                + text("swrunc.place", "init") + ","
                + text("swrunc.step", #"mount \"x\"\n"#) + "," + text("swrunc.field", "mounts[0]")
                + "]}," + span(ids[1], root, "hook.prestart", (6, 7)) + #""attributes":["#
                + text("swrunc.place", "runtime") + "," + text("swrunc.step", "/hook")
                + #"],"status":{"code":2}}]}]}]}"# + "\n")
    }

    @Test("a trace without a caller has a root without a parent")
    func root() throws {
        let trace = LaunchTrace()
        let line = trace.otlpLine(named: "run", container: "box", until: trace.start)
        #expect(line.firstRange(of: "parentSpanId") == nil)
        #expect(line.firstRange(of: "\"status\"") == nil)
        #expect(line.firstRange(of: "ContainerKit") != nil)
        _ = try JSONValue(json: Array(line.utf8))
    }
}
