// SPDX-License-Identifier: Apache-2.0

internal import ContainerKitAsync

/// How a program ended, as a JSON object; what is unknown is left out.
struct Verdict: Encodable, Sendable {
    /// What it wrote; bytes that are not UTF-8 are replaced.
    var output: String
    var outputIsTruncated: Bool
    var errors: String
    var errorsAreTruncated: Bool
    /// Its exit status, or else the signal that ended it.
    var status: Int32?
    var signal: Int32?
    var timedOut: Bool
    /// Whether one of its processes was killed for want of memory.
    var outOfMemory: Bool
    /// From its start to its end.
    var milliseconds: Double
    var cpuMilliseconds: Double?
    /// The most memory that all its processes and its files had together, in bytes.
    var memoryPeak: UInt64?

    init(_ result: ContainerResult<Duration>) {
        output = result.output?.text ?? ""
        outputIsTruncated = result.output?.isTruncated ?? false
        errors = result.error?.text ?? ""
        errorsAreTruncated = result.error?.isTruncated ?? false
        switch result.termination.status {
        case .exited(let status): self.status = status
        case .signaled(let number): signal = number
        case .unknown: break
        }
        timedOut = result.timedOut
        outOfMemory = result.termination.ranOutOfMemory
        milliseconds = Self.rounded(result.value / .microseconds(1))
        if let statistics = result.statistics {
            cpuMilliseconds = Self.rounded(Double(statistics.cpu.total) / 1000)
            // Zero is what the kernel does not tell: cgroup v2 has a peak from Linux 5.19 on.
            if statistics.memory.usage.max > 0 { memoryPeak = statistics.memory.usage.max }
        }
        if memoryPeak == nil { memoryPeak = result.termination.usage?.peakMemoryBytes }
    }

    /// Milliseconds with three decimals.
    private static func rounded(_ microseconds: Double) -> Double { microseconds.rounded() / 1000 }
}
