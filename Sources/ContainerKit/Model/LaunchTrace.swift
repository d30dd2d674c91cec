// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText

/// Where the time of a launch goes: a span for each step of the runtime and of init.
///
/// One object is for one call of create, run, exec, start or restore. Without spans, it only passes
/// the context of the caller's trace on to hooks, in the variable TRACEPARENT of those whose
/// config does not set it.
public final class LaunchTrace: Sendable {
    /// One part of a launch.
    public struct Span: Equatable, Sendable {
        /// The process that worked or waited.
        public enum Place: String, Sendable {
            /// The runtime.
            case runtime
            /// The first process of the container, or that of `exec`, before its program runs.
            case initProcess = "init"
        }

        /// The name, which later versions keep: `runtime.` or `init.` and the theme of the step,
        /// such as `init.mount`; or `hook.` and the hook's point, such as `hook.prestart`.
        public var name: String
        /// What was done, in words; they may change.
        public var step: String
        /// The config field that asks for it; nil if the runtime does it always.
        public var field: String?
        /// The process.
        public var place: Place
        /// The time at which it began, in nanoseconds since 1970.
        public var start: Int
        /// The time at which it ended, in nanoseconds since 1970.
        public var end: Int
        /// Whether it failed.
        public var hasFailed = false
        /// Its identity in the trace.
        public let context: TraceContext
    }

    /// The span of the caller; nil if this is a trace of its own.
    public let parent: TraceContext?
    /// The span of the whole launch.
    public let context: TraceContext
    /// Whether spans are recorded.
    ///
    /// The child of such a launch notes its times, too.
    public let recordsSpans: Bool
    /// The time at which the trace was made, in nanoseconds since 1970.
    public let start = LaunchTrace.now
    private let collected = GuardedValue<[Span]>([])

    /// A trace that begins now.
    ///
    /// - Parameters:
    ///   - parent: the caller's span.
    ///   - recordsSpans: whether spans are recorded.
    public init(parent: TraceContext? = nil, recordsSpans: Bool = true) {
        self.parent = parent
        self.recordsSpans = recordsSpans
        // A launch that records nothing is no span of its own.
        context = recordsSpans ? parent?.child() ?? TraceContext() : parent ?? TraceContext()
    }

    /// The present time in the clock of the spans, in nanoseconds since 1970.
    public static var now: Int { ClockTime.wall.totalNanoseconds }

    /// The spans so far, by the time at which they began.
    public var spans: [Span] {
        collected.withLock { $0 }.sorted { $0.start < $1.start }
    }

    /// Does a part of the launch, and records how long it took.
    ///
    /// For parts that the caller does itself, such as reading the config.
    /// - Parameters:
    ///   - name: the span's name.
    ///   - step: what is done, in words.
    ///   - field: the config field that asks for it.
    ///   - body: what is done.
    /// - Returns: what `body` returns.
    /// - Throws: the error of `body`.
    public func measure<Result: ~Copyable, Failure: Error>(
        _ name: String, _ step: @autoclosure () -> String, field: String? = nil,
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard recordsSpans else { return try body() }
        let start = Self.now
        do throws(Failure) {
            let result = try body()
            add(name, step(), field, .runtime, from: start, to: Self.now)
            return result
        } catch {
            add(
                name, step(), field, .runtime, from: start, to: Self.now,
                hasFailed: true)
            throw error
        }
    }

    /// Records init's steps by the times at which they began; what does not lie within this trace
    /// is left out.
    ///
    /// A process that may trace init can write any time into its page.
    /// - Parameters:
    ///   - steps: the steps that were reached, with their times, in order.
    ///   - end: the time at which the last of them ended.
    ///   - hasFailed: whether it failed.
    func add(_ steps: [(step: TimedStep, start: Int)], until end: Int, hasFailed: Bool = false) {
        let steps = steps.filter { $0.start >= start && $0.start <= end }
        for (number, (step, start)) in steps.enumerated() {
            let isLast = number == steps.count - 1
            add(
                step.name, step.sentence, step.field, .initProcess, from: start,
                to: isLast ? end : steps[number + 1].start, hasFailed: isLast && hasFailed)
        }
    }

    /// Records a part that has been measured.
    ///
    /// A clock that was set meanwhile may give an end before the start; it then took no time.
    func add(
        _ name: String, _ step: String, _ field: String?, _ place: Span.Place, from start: Int,
        to end: Int, hasFailed: Bool = false
    ) {
        let span = Span(
            name: name, step: step, field: field, place: place, start: start, end: max(start, end),
            hasFailed: hasFailed, context: context.child())
        collected.withLock { $0.append(span) }
    }

    /// The variable for the environment of hooks; nil if there is no trace that they are part of.
    var hookVariable: ByteText? {
        recordsSpans || parent != nil
            ? ByteText("\(Self.variableName)=\(context.traceparent)") : nil
    }

    /// The variable of the environment that carries the context of a trace.
    ///
    /// Source: the OpenTelemetry specification, environment variables as carriers.
    public static let variableName = "TRACEPARENT"

    /// The variable beside it in which vendors keep what they know of the same trace.
    ///
    /// Source: W3C Trace Context, tracestate.
    static let stateName = "TRACESTATE"
}

/// A step of init that notes when it begins.
struct TimedStep: Equatable, Sendable {
    /// The number of its mark in the progress page.
    var mark: Int
    /// The name of its span.
    var name = ""
    /// What it does, and how many steps without a mark follow.
    var sentence = ""
    /// The config field that asks for it.
    var field: String?
}

extension [TimedStep] {
    /// The steps that were begun, each with its time.
    func begun(_ time: (_ mark: Int) -> Int?) -> [(step: TimedStep, start: Int)] {
        compactMap { step in time(step.mark).map { (step: step, start: $0) } }
    }
}

extension LaunchTrace? {
    /// Does a part of the launch, and records how long it took, if somebody wants to know.
    func measure<Result: ~Copyable, Failure: Error>(
        _ name: String, _ step: @autoclosure () -> String, field: String? = nil,
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard let self else { return try body() }
        return try self.measure(name, step(), field: field, body)
    }
}
#endif
