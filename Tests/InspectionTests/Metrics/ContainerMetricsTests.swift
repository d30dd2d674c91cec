// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ContainerKit
@testable import ContainerKitInspection
@testable import RuntimeSpec

@Suite("Metrics of containers")
struct ContainerMetricsTests {
    private func sample(
        _ id: String, _ status: State.Status = .running, annotations: [String: String]? = nil,
        with change: (inout Statistics) -> Void = { _ in }
    ) -> ContainerStore.Sample {
        var statistics = Statistics()
        change(&statistics)
        let state = State(
            ociVersion: "1.3.0", id: id, pid: 7, status: status, bundle: "/bundles/\(id)",
            rootfs: "/bundles/\(id)/rootfs", created: "2026-11-21T01:29:11.250000000Z",
            annotations: annotations, owner: "")
        return ContainerStore.Sample(state: state, statistics: statistics)
    }

    private func lines(
        _ samples: [ContainerStore.Sample], annotations: [String] = [], failureCount: Int = 0
    ) throws -> [String] {
        let metrics = try ContainerMetrics(
            samples: samples, annotations: annotations, failureCount: failureCount)
        return String(decoding: metrics.openMetrics, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// Every value that there is.
    private func full(_ statistics: inout Statistics) {
        statistics.cpu.total = 1_500_000_000
        statistics.cpu.user = 1_000_000_001
        statistics.cpu.kernel = 499_999_999
        statistics.cpu.periods = 10
        statistics.cpu.throttledPeriods = 3
        statistics.cpu.throttledTime = 250_000_000
        var pressure = Statistics.Pressure()
        pressure.some.totalMicroseconds = 1_500_000
        pressure.full.totalMicroseconds = 1
        statistics.cpu.pressure = pressure
        statistics.memory.pressure = pressure
        statistics.memory.raw = [
            ("anon", 300), ("file", 600), ("kernel", 50), ("file_mapped", 20),
            ("inactive_file", 400),
        ]
        statistics.memory.usage = .init(limit: 2000, usage: 1000, max: 1500, failures: 2)
        statistics.memory.swap = .init(limit: 3000, usage: 1100)
        statistics.memory.events = .init(low: 0, high: 1, max: 2, outOfMemory: 3)
        statistics.memory.outOfMemoryKills = 4
        statistics.pids = .init(current: 5, limit: 100)
        statistics.blockIO.serviceBytes = [
            .init(major: 8, minor: 0, operation: "Read", value: 4096),
            .init(major: 8, minor: 0, operation: "Total", value: 4096),
        ]
        statistics.blockIO.serviced = [
            .init(major: 8, minor: 16, operation: "Write", value: 2)
        ]
        statistics.hugePages = [.init(pageSize: "2MB", usage: 2_097_152, max: 0, failures: 1)]
        statistics.rdma = [.init(device: "mlx4_0", handles: 2, objects: 2000)]
    }

    // MARK: Values

    @Test(
        "each value is a sample of its family, with the id and what tells samples apart",
        arguments: [
            #"container_info{id="a",bundle="/bundles/a"} 1"#,
            #"container_state{id="a",container_state="running"} 1"#,
            #"container_state{id="a",container_state="stopped"} 0"#,
            #"container_start_time_seconds{id="a"} 1795224551.25"#,
            #"container_cpu_usage_seconds_total{id="a"} 1.5"#,
            #"container_cpu_user_seconds_total{id="a"} 1.000000001"#,
            #"container_cpu_system_seconds_total{id="a"} 0.499999999"#,
            #"container_cpu_cfs_periods_total{id="a"} 10"#,
            #"container_cpu_cfs_throttled_periods_total{id="a"} 3"#,
            #"container_cpu_cfs_throttled_seconds_total{id="a"} 0.25"#,
            #"container_memory_usage_bytes{id="a"} 1000"#,
            #"container_memory_max_usage_bytes{id="a"} 1500"#,
            #"container_spec_memory_limit_bytes{id="a"} 2000"#,
            #"container_spec_memory_swap_limit_bytes{id="a"} 3000"#,
            #"container_memory_working_set_bytes{id="a"} 600"#,
            #"container_memory_cache_bytes{id="a"} 600"#,
            #"container_memory_rss_bytes{id="a"} 300"#,
            #"container_memory_mapped_file_bytes{id="a"} 20"#,
            #"container_memory_kernel_bytes{id="a"} 50"#,
            #"container_memory_swap_bytes{id="a"} 100"#,
            #"container_memory_failcnt_total{id="a"} 2"#,
            #"container_memory_events_total{id="a",event="high"} 1"#,
            #"container_memory_events_total{id="a",event="oom"} 3"#,
            #"container_oom_events_total{id="a"} 4"#,
            #"container_blkio_device_usage_bytes_total{id="a",device="8:0",operation="read"} 4096"#,
            #"container_blkio_device_operations_total{id="a",device="8:16",operation="write"} 2"#,
            #"container_threads{id="a"} 5"#,
            #"container_threads_max{id="a"} 100"#,
            #"container_hugetlb_usage_bytes{id="a",pagesize="2MB"} 2097152"#,
            #"container_hugetlb_failcnt_total{id="a",pagesize="2MB"} 1"#,
            #"container_rdma_handles{id="a",device="mlx4_0"} 2"#,
            #"container_rdma_objects{id="a",device="mlx4_0"} 2000"#,
            #"container_pressure_cpu_waiting_seconds_total{id="a"} 1.5"#,
            #"container_pressure_memory_stalled_seconds_total{id="a"} 0.000001"#,
            "container_scrape_error 0",
        ])
    func values(_ line: String) throws {
        #expect(try lines([sample("a", with: full)]).contains(line))
    }

    @Test("numbers of v1's memory.stat are those of the whole subtree")
    func legacyMemory() throws {
        let lines = try lines([
            sample("a") { statistics in
                statistics.memory.raw = [
                    ("cache", 1), ("rss", 2), ("inactive_file", 3), ("total_cache", 10),
                    ("total_rss", 20), ("total_inactive_file", 30), ("total_swap", 40),
                ]
                statistics.memory.usage.usage = 100
            }
        ])
        #expect(lines.contains(#"container_memory_cache_bytes{id="a"} 10"#))
        #expect(lines.contains(#"container_memory_rss_bytes{id="a"} 20"#))
        #expect(lines.contains(#"container_memory_working_set_bytes{id="a"} 70"#))
        #expect(lines.contains(#"container_memory_swap_bytes{id="a"} 40"#))
    }

    @Test("a limit that is none has no sample, nor has a value that the kernel does not count")
    func absentValues() throws {
        let lines = try lines([
            sample("a") {
                $0.memory.usage.limit = .max
                $0.pids.limit = 0
                $0.blockIO.serviced = [.init(major: 8, minor: 0, operation: "Sync", value: 1)]
            }
        ])
        for name in [
            "container_spec_memory_limit_bytes", "container_threads_max", "container_oom_events",
            "container_memory_rss_bytes", "container_blkio_device_operations",
            "container_pressure_cpu_waiting_seconds", "container_hugetlb_usage_bytes",
        ] {
            #expect(!lines.contains { $0.contains(name) }, "\(name)")
        }
    }

    @Test("a container without a cgroup still has its state and its start")
    func withoutCgroup() throws {
        var ended = sample("a", .stopped)
        ended.statistics = nil
        let lines = try lines([ended])
        #expect(lines.contains(#"container_state{id="a",container_state="stopped"} 1"#))
        #expect(lines.contains { $0.hasPrefix("container_start_time_seconds{") })
        #expect(!lines.contains { $0.contains("cpu") })
    }

    // MARK: The format

    @Test("samples of a family stand together, after its type, unit and help, and the end is # EOF")
    func families() throws {
        let lines = try lines([sample("a", with: full), sample("b", with: full)])
        #expect(lines.suffix(2) == ["# EOF", ""])
        var families: [String] = []
        var suffix = ""
        for line in lines.dropLast(2) {
            let words = line.split(separator: " ", maxSplits: 3)
            if words[0] == "#" {
                if words[1] == "TYPE" {
                    families.append(String(words[2]))
                    suffix = ["counter": "_total", "info": "_info"][words[3]] ?? ""
                }
                #expect(words[2] == families.last ?? "")
                if words[1] == "UNIT" { #expect(words[2].hasSuffix("_\(words[3])")) }
            } else {
                let name = line.prefix { $0 != "{" && $0 != " " }
                #expect(name == (families.last ?? "") + suffix)
            }
        }
        #expect(Set(families).count == families.count)
        #expect(families.count > 30)
        for family in families where family.hasSuffix("_bytes") || family.hasSuffix("_seconds") {
            #expect(lines.contains { $0.hasPrefix("# UNIT \(family) ") })
        }
    }

    @Test("without containers the text is still whole")
    func empty() throws {
        let lines = try lines([], failureCount: 1)
        #expect(lines.contains("container_scrape_error 1"))
        #expect(lines.suffix(2) == ["# EOF", ""])
        #expect(!lines.contains { $0.hasPrefix("container_cpu") })
    }

    @Test("chosen annotations are labels of the info alone, with backslash, quote and line escaped")
    func annotations() throws {
        let annotations = ["io.pod/name": "a\\b\"c\nd{,}é", "other": "no"]
        let lines = try lines(
            [sample("a", annotations: annotations), sample("b")],
            annotations: ["io.pod/name", "io.pod/name"])
        #expect(
            lines.contains(
                #"container_info{id="a",bundle="/bundles/a",annotation_io_pod_name="a\\b\"c\nd{,}é"} 1"#
            ))
        #expect(lines.contains(#"container_info{id="b",bundle="/bundles/b"} 1"#))
        #expect(lines.filter { $0.contains("annotation_") }.count == 1)
    }

    @Test("two annotations that give the same label are refused")
    func sameLabels() {
        #expect {
            _ = try ContainerMetrics(samples: [], annotations: ["a.b", "a/b"])
        } throws: { error in
            "\(error)" == "the annotations a.b and a/b give the same label, annotation_a_b"
        }
    }

    @Test(
        "times are seconds since 1970, exact, and other texts are none",
        arguments: [
            ("1970-01-01T00:00:00Z", "0"), ("2000-02-29T12:00:01.5Z", "951825601.5"),
            ("2026-11-21T01:29:11.123456789Z", "1795224551.123456789"),
            ("2100-03-01T00:00:00.000000000Z", "4107542400"),
            ("2026-11-21T01:29:11+01:00", nil), ("2026-11-21 01:29:11Z", nil), ("", nil),
            ("2026-13-21T01:29:11Z", nil), ("2026-11-21T01:29:11.Z", nil),
            ("1969-12-31T23:59:59Z", nil), ("2026-11-21T01:29:11.1x9Z", nil),
            ("2026-11-21T01:29:11.1234567891Z", nil), ("2026-11-21T01:29:1éZ", nil),
        ] as [(String, String?)])
    func times(_ text: String, _ expected: String?) {
        #expect(Timestamp(text).map(OpenMetricsText.seconds(of:)) == expected)
    }

    @Test(
        "numbers of nanoseconds are exact in seconds",
        arguments: [
            (0 as UInt64, "0"), (1, "0.000000001"), (1_000_000_000, "1"),
            (1_230_000_000, "1.23"), (.max, "18446744073.709551615"),
        ])
    func seconds(_ count: UInt64, _ expected: String) {
        #expect(OpenMetricsText.seconds(ofNanoseconds: count) == expected)
    }
}
