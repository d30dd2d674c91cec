// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit
internal import RuntimeSpec

extension LaunchTrace {
    /// The spans as one line of JSON, ended by a newline: an `ExportTraceServiceRequest` of OTLP.
    ///
    /// A file of such lines is what the OpenTelemetry collector's file receiver reads. The whole
    /// call is the root span, or a child of `parent`, with the attribute `container.id`; all other
    /// spans are its children, with `swrunc.place`, `swrunc.step` and `swrunc.field`.
    ///
    /// Source: the OpenTelemetry protocol, JSON Protobuf encoding.
    /// - Parameters:
    ///   - name: the name of the root span, such as `swrunc create`.
    ///   - id: the container.
    ///   - end: when the call ended, in nanoseconds since 1970.
    ///   - failure: the message of its error; nil if it succeeded.
    ///   - service: the attribute `service.name` of the resource.
    /// - Returns: the line, in UTF-8.
    public func otlpLine(
        named name: String, container id: String, until end: Int, failure: String? = nil,
        service: String = "ContainerKit"
    ) -> String {
        var root = Self.span(
            name, context, parent, from: start, to: max(start, end),
            attributes: [("container.id", id)])
        if let failure {
            root.append("status", .object(["code": .integer(2), "message": .string(failure)]))
        }
        let children = spans.map { span -> JSONValue in
            var attributes = [
                ("swrunc.place", span.place.rawValue), ("swrunc.step", span.step),
            ]
            if let field = span.field { attributes.append(("swrunc.field", field)) }
            var object = Self.span(
                span.name, span.context, context, from: span.start, to: span.end,
                attributes: attributes)
            if span.hasFailed { object.append("status", .object(["code": .integer(2)])) }
            return .object(object)
        }
        let scope: JSONObject = [
            "scope": .object([
                "name": .string("swrunc"), "version": .string(RuntimeVersion.string),
            ]),
            "spans": .array([.object(root)] + children),
        ]
        let resource: JSONObject = [
            "resource": .object([
                "attributes": Self.attributes([
                    ("service.name", service), ("service.version", RuntimeVersion.string),
                ])
            ]),
            "scopeSpans": .array([.object(scope)]),
        ]
        let whole = JSONValue.object(["resourceSpans": .array([.object(resource)])])
        return String(decoding: whole.encoded(), as: UTF8.self) + "\n"
    }

    private static func span(
        _ name: String, _ context: TraceContext, _ parent: TraceContext?, from start: Int,
        to end: Int, attributes: [(String, String)]
    ) -> JSONObject {
        var object: JSONObject = [
            "traceId": .string(context.traceID), "spanId": .string(context.spanID),
        ]
        if let parent { object.append("parentSpanId", .string(parent.spanID)) }
        object.append("name", .string(name))
        // SPAN_KIND_INTERNAL
        object.append("kind", .integer(1))
        // 64-bit numbers are decimal text in this encoding.
        object.append("startTimeUnixNano", .string(String(start)))
        object.append("endTimeUnixNano", .string(String(end)))
        object.append("attributes", Self.attributes(attributes))
        return object
    }

    private static func attributes(_ pairs: [(String, String)]) -> JSONValue {
        .array(
            pairs.map { key, value in
                .object([
                    "key": .string(key), "value": .object(["stringValue": .string(value)]),
                ])
            })
    }
}
#endif
