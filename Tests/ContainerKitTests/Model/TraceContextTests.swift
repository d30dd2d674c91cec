// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ContainerKit

/// Standard: W3C Trace Context, the traceparent header.
@Suite("The context of a trace")
struct TraceContextTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let span = "b7ad6b7169203331"

    @Test("a traceparent is read and written alike, a later version as version 00")
    func reading() throws {
        let text = "00-\(Self.trace)-\(Self.span)-01"
        let context = try #require(TraceContext(traceparent: text))
        #expect(context.traceID == Self.trace && context.spanID == Self.span)
        #expect(context.traceparent == text)
        let later = TraceContext(traceparent: "cc-\(Self.trace)-\(Self.span)-01-what-ever")
        #expect(later == context)
        let unsampled = TraceContext(traceparent: "00-\(Self.trace)-\(Self.span)-00")
        #expect(unsampled?.traceparent.hasSuffix("-00") == true)
    }

    @Test(
        "what breaks the standard is no context",
        arguments: [
            "", "00", "00-\(trace)-\(span)", "00-\(trace)-\(span)-1", "00-\(trace)-\(span)-01-more",
            "00-\(trace)-\(span)-01 ", "ff-\(trace)-\(span)-01", "0g-\(trace)-\(span)-01",
            "00-\(trace.uppercased())-\(span)-01", "00_\(trace)-\(span)-01",
            "00-00000000000000000000000000000000-\(span)-01", "00-\(trace)-0000000000000000-01",
            "cc-\(trace)-\(span)-01.", "00-\(trace)-\(span)-0é",
        ])
    func refusing(_ text: String) {
        #expect(TraceContext(traceparent: text) == nil)
    }

    @Test("a child has the trace and the flags of its parent, and a span of its own")
    func children() throws {
        let parent = try #require(
            TraceContext(traceparent: "00-\(Self.trace)-\(Self.span)-00"))
        let child = parent.child()
        #expect(child.traceID == parent.traceID && child.spanID != parent.spanID)
        #expect(child.traceparent.hasSuffix("-00"))
        #expect(TraceContext() != TraceContext())
        #expect(TraceContext(traceparent: TraceContext().traceparent) != nil)
    }

    @Test("a trace without spans passes on the caller's context, and records nothing")
    func passing() throws {
        let parent = TraceContext(traceparent: "00-\(Self.trace)-\(Self.span)-01")
        let passing = LaunchTrace(parent: parent, recordsSpans: false)
        #expect(passing.measure("runtime.config", "read") { 7 } == 7)
        #expect(passing.spans == [])
        #expect(passing.hookVariable == "TRACEPARENT=00-\(Self.trace)-\(Self.span)-01")
        #expect(LaunchTrace(recordsSpans: false).hookVariable == nil)
        let recording = LaunchTrace(parent: parent)
        #expect(recording.context.traceID == Self.trace && recording.context != parent)
    }

    @Test("times of init outside of the trace are left out; a step lasts until the next")
    func initSteps() {
        let trace = LaunchTrace()
        let names = (0..<4).map {
            TimedStep(mark: $0, name: "init.mount", sentence: "step \($0)", field: nil)
        }
        let start = trace.start
        trace.add(
            [
                (names[0], start - 1), (names[1], start + 10), (names[2], start + 30),
                (names[3], start + 99),
            ], until: start + 50, hasFailed: true)
        let spans = trace.spans
        #expect(spans.map(\.step) == ["step 1", "step 2"])
        #expect(spans.map(\.end) == [start + 30, start + 50])
        #expect(spans.map(\.hasFailed) == [false, true])
    }
}
