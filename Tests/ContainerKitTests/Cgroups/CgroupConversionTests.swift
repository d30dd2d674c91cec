// SPDX-License-Identifier: Apache-2.0

import Glibc
import RuntimeSpec
import Testing

@testable import ContainerKit

/// Conversions compared with independent formulas, with thousands of values.
@Suite("Conversions of limits")
struct CgroupConversionTests {
    /// The same values in every run, of all magnitudes.
    private struct Numbers {
        var state: UInt64

        /// A number below 2^bits; every length in bits is equally likely.
        mutating func next(bits: UInt64) -> UInt64 {
            let width = step() % bits + 1
            return step() >> (64 - width)
        }

        /// xorshift64*; only its high bits are random enough.
        private mutating func step() -> UInt64 {
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return state &* 2_685_821_657_736_338_717
        }
    }

    private func writes(_ resources: Resources, on host: CgroupHierarchies) throws
        -> [String: String]
    {
        let layout = try CgroupLayout(cgroupsPath: "/c1", id: "c1", in: host)
        var texts: [String: String] = [:]
        for step in try ResourcePlan(resources, on: layout).steps {
            if case .write(let write) = step { texts[write.file] = write.text }
        }
        return texts
    }

    /// The smallest weight whose position on the curve is not below that of the shares.
    ///
    /// The curve goes through log10(1), log10(100) and log10(10000) at log2 of 2, 1024 and 262144
    /// (Lagrange interpolation).
    private func expectedWeight(_ shares: UInt64) -> UInt64 {
        let x = log2(Double(min(max(shares, 2), 262_144)))
        let exponent =
            2 * (x - 1) * (x - 18) / ((10 - 1) * (10 - 18))
            + 4 * (x - 1) * (x - 10) / ((18 - 1) * (18 - 10))
        return UInt64(ceil(pow(10, exponent) - 1e-9))
    }

    @Test("CPU shares of every magnitude become the weight on runc's parabola")
    func shares() throws {
        var numbers = Numbers(state: 1)
        for _ in 0..<5000 {
            let shares = numbers.next(bits: 20)
            let weight = CPUController.weight(ofShares: shares)
            // The two formulas round differently if a weight is met exactly.
            let expected = expectedWeight(shares)
            #expect(
                weight == expected || weight == expected + 1, "\(shares): \(weight), \(expected)")
            #expect((1...10_000).contains(weight))
        }
    }

    @Test("a CPU quota and its period are one line on v2 and two files on v1")
    func quotas() throws {
        var numbers = Numbers(state: 2)
        for _ in 0..<2000 {
            let quota = numbers.next(bits: 40) % 4 == 0 ? -1 : Int64(numbers.next(bits: 40))
            let period = numbers.next(bits: 20)
            let cpu = Resources(cpu: .init(quota: quota, period: period))
            let unified = try writes(cpu, on: unifiedHost)
            if quota == 0, period == 0 {
                #expect(unified.isEmpty)
            } else {
                // 0 means not set; the kernel then uses its default.
                let limit = quota <= 0 ? "max" : "\(quota)"
                #expect(unified == ["cpu.max": "\(limit) \(period == 0 ? 100_000 : period)"])
            }
            var expected: [String: String] = [:]
            if quota != 0 { expected["cpu.cfs_quota_us"] = "\(quota)" }
            if period != 0 { expected["cpu.cfs_period_us"] = "\(period)" }
            #expect(try writes(cpu, on: CgroupHost.hybrid.hierarchies) == expected)
        }
    }

    @Test("a v1 limit of memory plus swap becomes a limit of swap alone on v2, never below zero")
    func memoryAndSwap() throws {
        var numbers = Numbers(state: 3)
        for _ in 0..<5000 {
            let limit = Int64(numbers.next(bits: 62)) + 1
            let swap = Int64(numbers.next(bits: 62)) + 1
            let memory = Resources(memory: .init(limit: limit, swap: swap))
            guard swap >= limit else {
                for host in [unifiedHost, CgroupHost.hybrid.hierarchies] {
                    let error = #expect(throws: SpecError.self) { try writes(memory, on: host) }
                    #expect(error?.path == "linux.resources.memory.swap")
                }
                continue
            }
            let unified = try writes(memory, on: unifiedHost)
            let alone = try #require(unified["memory.swap.max"].flatMap { Int64($0) })
            #expect(alone + limit == swap && alone >= 0)
            #expect(unified["memory.max"] == "\(limit)")
            let legacy = try writes(memory, on: CgroupHost.hybrid.hierarchies)
            #expect(legacy["memory.memsw.limit_in_bytes"] == "\(swap)")
            #expect(legacy["memory.limit_in_bytes"] == "\(limit)")
        }
    }

    @Test("block I/O weights are mapped linearly from 10-1000 to 1-10000, rounded down")
    func blockWeights() {
        for weight in UInt16(10)...1000 {
            let exact = 1 + Double(weight - 10) * 9999 / 990
            #expect(BlockIOController.unifiedWeight(weight) == UInt64(exact + 1e-9))
        }
    }

    @Test("a limit of processes is at least one, and a negative one means no limit")
    func pids() throws {
        for (limit, text) in [
            (0, "1"), (1, "1"), (2, "2"), (-1, "max"), (-5, "max"), (Int64.max, "\(Int64.max)"),
        ] {
            for host in [unifiedHost, CgroupHost.hybrid.hierarchies] {
                #expect(
                    try writes(Resources(pids: .init(limit: limit)), on: host)
                        == ["pids.max": text])
            }
        }
    }
}
