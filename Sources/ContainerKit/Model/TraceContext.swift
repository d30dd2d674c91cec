// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText

/// The identity of a span in a distributed trace, as it is passed between programs.
///
/// Standard: W3C Trace Context, `traceparent`.
public struct TraceContext: Hashable, Sendable {
    /// The upper half of the trace's 16 bytes.
    let traceHigh: UInt64
    /// The lower half.
    let traceLow: UInt64
    /// The span, never zero.
    let span: UInt64
    /// The flags; bit 0 says that the caller records the trace.
    let flags: UInt8

    /// A new trace, marked as recorded.
    init() {
        self.init(
            traceHigh: .random(in: .min ... .max), traceLow: .random(in: 1 ... .max), flags: 1)
    }

    private init(traceHigh: UInt64, traceLow: UInt64, flags: UInt8) {
        self.traceHigh = traceHigh
        self.traceLow = traceLow
        span = .random(in: 1 ... .max)
        self.flags = flags
    }

    /// A new span of the same trace.
    func child() -> TraceContext {
        TraceContext(traceHigh: traceHigh, traceLow: traceLow, flags: flags)
    }

    /// Reads a `traceparent`, such as the value of the environment's TRACEPARENT.
    ///
    /// Nil if it is invalid: the standard then demands a new trace. Versions after 00 may have more
    /// behind the flags.
    public init?(traceparent: String) {
        let bytes = Array(traceparent.utf8)
        let dash = UInt8(ascii: "-")
        func number(_ range: Range<Int>) -> UInt64? {
            bytes[range].reduce(UInt64?.some(0)) { number, byte in
                let digit: UInt8
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
                case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
                default: return nil
                }
                return number.map { $0 << 4 | UInt64(digit) }
            }
        }
        guard bytes.count >= 55, [2, 35, 52].allSatisfy({ bytes[$0] == dash }),
            let version = number(0..<2), let high = number(3..<19), let low = number(19..<35),
            let span = number(36..<52), let flags = number(53..<55), version != UInt8.max,
            bytes.count == 55 || (version > 0 && bytes[55] == dash), high | low != 0, span != 0
        else { return nil }
        traceHigh = high
        traceLow = low
        self.span = span
        self.flags = UInt8(flags)
    }

    /// The trace in 32 hexadecimal digits.
    public var traceID: String { traceHigh.hexadecimal(16) + traceLow.hexadecimal(16) }

    /// The span in 16 hexadecimal digits.
    public var spanID: String { span.hexadecimal(16) }

    /// The form in which programs pass it on.
    public var traceparent: String {
        "00-\(traceID)-\(spanID)-\(UInt64(flags).hexadecimal(2))"
    }
}

extension UInt64 {
    fileprivate func hexadecimal(_ count: Int) -> String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: count - digits.utf8.count) + digits
    }
}
#endif
