// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit

extension ContainerMetrics {
    // MARK: CPU

    func addProcessors(to text: inout OpenMetricsText) {
        func seconds(_ name: String, _ help: String, _ time: (Statistics.CPU) -> UInt64) {
            add(.init(name, .counter, unit: "seconds", help), to: &text) {
                OpenMetricsText.seconds(ofNanoseconds: time($0.cpu))
            }
        }
        func count(_ name: String, _ help: String, _ number: (Statistics.CPU) -> UInt64) {
            add(.init(name, .counter, help), to: &text) { "\(number($0.cpu))" }
        }
        seconds("container_cpu_usage_seconds", "CPU time.", { $0.total })
        seconds("container_cpu_user_seconds", "CPU time in user mode.", { $0.user })
        seconds("container_cpu_system_seconds", "CPU time in the kernel.", { $0.kernel })
        count("container_cpu_cfs_periods", "Periods of the CPU quota that have passed.") {
            $0.periods
        }
        count(
            "container_cpu_cfs_throttled_periods", "Periods in which the CPU quota was used up."
        ) { $0.throttledPeriods }
        seconds(
            "container_cpu_cfs_throttled_seconds", "Time in which the CPU quota stopped processes."
        ) { $0.throttledTime }
    }

    // MARK: Memory

    func addMemory(to text: inout OpenMetricsText) {
        func bytes(_ name: String, _ help: String, _ value: (Statistics.Memory) -> UInt64?) {
            add(.init(name, .gauge, unit: "bytes", help), to: &text) { statistics in
                value(statistics.memory).map { "\($0)" }
            }
        }
        bytes("container_memory_usage_bytes", "Memory in use, with all caches.") {
            $0.usage.usage
        }
        bytes("container_memory_max_usage_bytes", "Highest memory in use so far.") {
            $0.usage.max == 0 ? nil : $0.usage.max
        }
        bytes("container_spec_memory_limit_bytes", "Limit of memory; absent if there is none.") {
            $0.usage.limitIfAny
        }
        bytes(
            "container_spec_memory_swap_limit_bytes",
            "Limit of memory and swap together; absent if there is none."
        ) { $0.swap.limitIfAny }
        bytes(
            "container_memory_working_set_bytes",
            "Memory in use without the page cache that has not been used lately."
        ) { memory in
            guard let inactive = Self.number("inactive_file", in: memory) else { return nil }
            return memory.usage.usage - min(memory.usage.usage, inactive)
        }
        bytes("container_memory_cache_bytes", "Page cache.") {
            Self.number("file", or: "cache", in: $0)
        }
        bytes("container_memory_rss_bytes", "Anonymous memory.") {
            Self.number("anon", or: "rss", in: $0)
        }
        bytes("container_memory_mapped_file_bytes", "Files that are mapped.") {
            Self.number("file_mapped", or: "mapped_file", in: $0)
        }
        bytes("container_memory_kernel_bytes", "Memory of the kernel for the container.") {
            Self.number("kernel", in: $0) ?? ($0.kernel.usage == 0 ? nil : $0.kernel.usage)
        }
        bytes("container_memory_swap_bytes", "Swap in use; absent if it is not counted.") {
            memory in
            // Without a count of swap, both together are less than memory.
            guard memory.swap.limit != 0, memory.swap.usage >= memory.usage.usage else {
                return Self.number("swap", in: memory)
            }
            return memory.swap.usage - memory.usage.usage
        }
        addMemoryEvents(to: &text)
    }

    private func addMemoryEvents(to text: inout OpenMetricsText) {
        add(
            .init("container_memory_failcnt", .counter, "How often usage hit the limit of memory."),
            to: &text
        ) { "\($0.memory.usage.failures)" }
        addEach(
            .init(
                "container_memory_events", .counter,
                "How often a limit of memory took effect, by the event in memory.events (cgroup v2)."
            ),
            to: &text
        ) { statistics in
            guard let events = statistics.memory.events else { return [] }
            return [
                ("low", events.low), ("high", events.high), ("max", events.max),
                ("oom", events.outOfMemory),
            ].map { ([("event", $0.0)], "\($0.1)") }
        }
        add(
            .init(
                "container_oom_events", .counter,
                "Processes that the kernel killed because memory ran out."), to: &text
        ) { $0.memory.outOfMemoryKills.map { "\($0)" } }
    }

    /// A number of memory.stat; on v1 that of the whole subtree (`total_`), as the usage is.
    private static func number(
        _ name: String, or legacy: String? = nil, in memory: Statistics.Memory
    ) -> UInt64? {
        let legacy = legacy ?? name
        for wanted in ["total_\(legacy)", name, legacy] {
            if let found = memory.raw.first(where: { $0.name == wanted }) { return found.value }
        }
        return nil
    }

    // MARK: I/O

    func addBlockIO(to text: inout OpenMetricsText) {
        func values(_ entries: [Statistics.BlockIO.Entry]) -> [(labels: [Label], value: String)] {
            entries.compactMap { entry in
                // Others of v1, such as Sync and Total, count the same requests again.
                let operation: String
                switch entry.operation {
                case "Read": operation = "read"
                case "Write": operation = "write"
                case "Discard": operation = "discard"
                default: return nil
                }
                return (
                    [("device", "\(entry.major):\(entry.minor)"), ("operation", operation)],
                    "\(entry.value)"
                )
            }
        }
        addEach(
            .init(
                "container_blkio_device_usage_bytes", .counter, unit: "bytes",
                "Bytes read from and written to a device."), to: &text
        ) { values($0.blockIO.serviceBytes) }
        addEach(
            .init(
                "container_blkio_device_operations", .counter,
                "Reads from and writes to a device."), to: &text
        ) { values($0.blockIO.serviced) }
    }

    // MARK: Processes, huge pages, RDMA

    func addFurther(to text: inout OpenMetricsText) {
        add(
            .init("container_threads", .gauge, "Processes and threads, as pids.max limits them."),
            to: &text
        ) { "\($0.pids.current)" }
        add(
            .init(
                "container_threads_max", .gauge,
                "Limit of processes and threads; absent if there is none."), to: &text
        ) { $0.pids.limitIfAny.map { "\($0)" } }
        func pages(
            _ family: Family, _ value: (Statistics.HugePages) -> UInt64?
        ) {
            addEach(family, to: &text) { statistics in
                statistics.hugePages.compactMap { size in
                    value(size).map { ([("pagesize", size.pageSize)], "\($0)") }
                }
            }
        }
        pages(
            .init(
                "container_hugetlb_usage_bytes", .gauge, unit: "bytes",
                "Huge pages in use, or reserved where the kernel counts that.")
        ) { $0.usage }
        pages(
            .init(
                "container_hugetlb_max_usage_bytes", .gauge, unit: "bytes",
                "Most huge pages in use so far (cgroup v1).")
        ) { $0.max == 0 ? nil : $0.max }
        pages(
            .init(
                "container_hugetlb_failcnt", .counter, "How often the limit of huge pages was hit.")
        ) { $0.failures }
        func devices(_ name: String, _ help: String, _ value: (Statistics.Rdma) -> UInt64) {
            addEach(.init(name, .gauge, help), to: &text) { statistics in
                statistics.rdma.map { ([("device", $0.device)], "\(value($0))") }
            }
        }
        devices("container_rdma_handles", "Open handles of an RDMA device.") { $0.handles }
        devices("container_rdma_objects", "Objects of an RDMA device.") { $0.objects }
    }

    // MARK: Pressure

    func addPressure(to text: inout OpenMetricsText) {
        let resources: [(name: String, (Statistics) -> Statistics.Pressure?)] = [
            ("cpu", { $0.cpu.pressure }), ("memory", { $0.memory.pressure }),
            ("io", { $0.blockIO.pressure }),
        ]
        for (name, pressure) in resources {
            add(
                .init(
                    "container_pressure_\(name)_waiting_seconds", .counter, unit: "seconds",
                    "Time in which some processes waited for \(name) (some, cgroup v2)."),
                to: &text
            ) {
                pressure($0).map {
                    OpenMetricsText.seconds(ofMicroseconds: $0.some.totalMicroseconds)
                }
            }
            add(
                .init(
                    "container_pressure_\(name)_stalled_seconds", .counter, unit: "seconds",
                    "Time in which all processes waited for \(name) (full, cgroup v2)."),
                to: &text
            ) {
                pressure($0).map {
                    OpenMetricsText.seconds(ofMicroseconds: $0.full.totalMicroseconds)
                }
            }
        }
    }
}
#endif
