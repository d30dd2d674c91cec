// SPDX-License-Identifier: Apache-2.0

import Foundation
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Statistics")
struct StatisticsTests {
    private let store: TemporaryDirectory

    init() throws {
        store = try TemporaryDirectory()
    }

    /// A cgroup with files copied from real kernels.
    private func cgroup(_ mode: CgroupHierarchies.Mode, _ files: [String: String]) throws
        -> Cgroup
    {
        for (name, text) in files {
            try Data(text.utf8).write(to: URL(filePath: "\(store.path)/c/\(name)"))
        }
        let controllers = ["cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "hugetlb", "io"]
        let directory = CgroupDirectory(
            controllers: mode == .unified ? [] : controllers, mountPoint: store.path, cgroup: "/c")
        return Cgroup(
            CgroupLayout(
                mode: mode, directories: [directory],
                unifiedControllers: mode == .unified ? controllers : []))
    }

    private func json(_ cgroup: Cgroup, _ key: String) throws -> String {
        guard case .object(let object) = try cgroup.statistics().encoded,
            let value = object[key]
        else { return "" }
        return String(decoding: value.encoded(), as: UTF8.self)
    }

    @Test("the statistics of an empty cgroup have runc's keys, most of them without a value")
    func keys() throws {
        try FileManager.default.createDirectory(
            atPath: "\(store.path)/c", withIntermediateDirectories: true)
        var statistics = try cgroup(.hybrid, [:]).statistics()
        statistics.hugePages = [.init(pageSize: "2MB")]
        let none = #"{"limit":0,"failcnt":0}"#
        #expect(
            String(decoding: statistics.encoded.encoded(), as: UTF8.self)
                == #"{"cpu":{"usage":{"kernel":0,"user":0},"throttling":{}},"#
                + #""cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"#
                + #""memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"#
                + #""memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0},"#
                + #""memory":{"usage":\#(none),"swap":\#(none),"kernel":\#(none),"#
                + #""kernelTCP":\#(none)},"pids":{},"blkio":{},"hugetlb":{"2MB":{"failcnt":0}},"#
                + #""intel_rdt":{},"network_interfaces":null}"#)
    }

    @Test("cgroup v2 statistics have CPU time in microseconds, swap alone and a line per device")
    func unified() throws {
        try FileManager.default.createDirectory(
            atPath: "\(store.path)/c", withIntermediateDirectories: true)
        let pressure = """
            some avg10=1.50 avg60=0.25 avg300=0.00 total=77
            full avg10=0.00 avg60=0.00 avg300=0.00 total=18446744073709551615

            """
        let cgroup = try cgroup(
            .unified,
            [
                "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 4\n"
                    + "nr_throttled 1\nthrottled_usec 9\n",
                "cpu.pressure": pressure, "cpuset.cpus": "0-2,5\n", "cpuset.mems": "\n",
                "memory.stat": "anon 1\nfile 4096\n", "memory.current": "8192\n",
                "memory.max": "max\n", "memory.peak": "9000\n",
                "memory.swap.current": "100\n", "memory.swap.max": "0\n",
                "memory.events": "low 0\nhigh 0\nmax 6\noom 1\noom_kill 1\n",
                "pids.current": "7\n", "pids.max": "max\n",
                "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=0 dbytes=5 dios=6\n259:1\n",
            ])
        #expect(
            try json(cgroup, "cpu")
                == #"{"usage":{"total":5000,"kernel":2000,"user":3000},"#
                + #""throttling":{"periods":4,"throttledPeriods":1,"throttledTime":9000},"#
                + #""psi":{"some":{"avg10":1.5,"avg60":0.25,"avg300":0.0,"total":77},"#
                + #""full":{"avg10":0.0,"avg60":0.0,"avg300":0.0,"total":18446744073709551615}}}"#)
        #expect(try json(cgroup, "cpuset").hasPrefix(#"{"cpus":[0,1,2,5],"cpu_exclusive":0,"#))
        #expect(
            try json(cgroup, "memory")
                == #"{"cache":4096,"usage":{"limit":18446744073709551615,"usage":8192,"#
                + #""max":9000,"failcnt":6},"swap":{"limit":18446744073709551615,"usage":8292,"#
                + #""failcnt":0},"kernel":{"limit":0,"failcnt":0},"#
                + #""kernelTCP":{"limit":0,"failcnt":0},"raw":{"anon":1,"file":4096},"#
                + #""events":{"max":6,"oom":1}}"#)
        #expect(try json(cgroup, "pids") == #"{"current":7}"#)
        #expect(
            try json(cgroup, "blkio")
                == #"{"ioServiceBytesRecursive":[{"major":8,"op":"Read","value":1},"#
                + #"{"major":8,"op":"Write","value":2}],"#
                + #""ioServicedRecursive":[{"major":8,"op":"Read","value":3},"#
                + #"{"major":8,"op":"Write"}]}"#)
    }

    @Test("cgroup v1 statistics have CPU time in nanoseconds and ticks, and for each CPU")
    func legacy() throws {
        try FileManager.default.createDirectory(
            atPath: "\(store.path)/c", withIntermediateDirectories: true)
        let cgroup = try cgroup(
            .legacy,
            [
                "cpu.stat": "nr_periods 4\nnr_throttled 1\nthrottled_time 9\n",
                "cpuacct.stat": "user 3\nsystem 2\n", "cpuacct.usage": "51\n",
                "cpuacct.usage_percpu": "20 31 \n",
                "cpuacct.usage_all": "cpu user system\n0 11 9\n1 21 10\n",
                "cpuset.cpus": "1\n", "cpuset.mems": "0\n", "cpuset.sched_load_balance": "1\n",
                "cpuset.sched_relax_domain_level": "-1\n",
                "memory.stat": "cache 4096\nrss 2\n", "memory.usage_in_bytes": "8192\n",
                "memory.limit_in_bytes": "9223372036854771712\n", "memory.failcnt": "3\n",
                "memory.max_usage_in_bytes": "9000\n", "memory.kmem.usage_in_bytes": "12\n",
                "pids.current": "7\n", "pids.max": "20\n",
                "blkio.bfq.io_serviced_recursive": "Total 0\n",
                "blkio.throttle.io_serviced_recursive": "8:16 Read 4\n8:16 Total 4\nTotal 4\n",
                "blkio.throttle.io_service_bytes_recursive": "8:16 Read 4096\nTotal 4096\n",
            ])
        #expect(
            try json(cgroup, "cpu")
                == #"{"usage":{"total":51,"percpu":[20,31],"percpu_kernel":[9,10],"#
                + #""percpu_user":[11,21],"kernel":20000000,"user":30000000},"#
                + #""throttling":{"periods":4,"throttledPeriods":1,"throttledTime":9}}"#)
        #expect(
            try json(cgroup, "cpuset")
                == #"{"cpus":[1],"cpu_exclusive":0,"mems":[0],"mem_hardwall":0,"#
                + #""mem_exclusive":0,"memory_migrate":0,"memory_spread_page":0,"#
                + #""memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":1,"#
                + #""sched_relax_domain_level":-1}"#)
        #expect(
            try json(cgroup, "memory")
                == #"{"cache":4096,"usage":{"limit":9223372036854771712,"usage":8192,"#
                + #""max":9000,"failcnt":3},"swap":{"limit":0,"failcnt":0},"#
                + #""kernel":{"limit":0,"usage":12,"failcnt":0},"#
                + #""kernelTCP":{"limit":0,"failcnt":0},"raw":{"cache":4096,"rss":2}}"#)
        #expect(try json(cgroup, "pids") == #"{"current":7,"limit":20}"#)
        #expect(
            try json(cgroup, "blkio")
                == #"{"ioServiceBytesRecursive":[{"major":8,"minor":16,"op":"Read","value":4096}],"#
                + #""ioServicedRecursive":[{"major":8,"minor":16,"op":"Read","value":4},"#
                + #"{"major":8,"minor":16,"op":"Total","value":4}]}"#)
    }

    @Test("a line of a cgroup's file without a word tells nothing")
    func blankLines() throws {
        try FileManager.default.createDirectory(
            atPath: "\(store.path)/c", withIntermediateDirectories: true)
        let cgroup = try cgroup(
            .unified,
            [
                "io.stat": " \n8:0 rbytes=7\n\t\n", "cpu.pressure": " \nsome total=3\n",
                "memory.stat": " \nfile 9\n",
            ])
        let statistics = try cgroup.statistics()
        #expect(statistics.blockIO.serviceBytes.map(\.value) == [7])
        #expect(statistics.cpu.pressure?.some.totalMicroseconds == 3)
        #expect(statistics.memory.cache == 9)
    }

    @Test("BFQ's statistics are preferred to the throttle's, with all of BFQ's files")
    func fairQueueing() throws {
        try FileManager.default.createDirectory(
            atPath: "\(store.path)/c", withIntermediateDirectories: true)
        let cgroup = try cgroup(
            .legacy,
            [
                "blkio.bfq.io_serviced_recursive": "8:0 Write 2\n8:0 Total 2\nTotal 2\n",
                "blkio.bfq.sectors_recursive": "8:0 99\n", "blkio.bfq.time_recursive": "8:0 5\n",
                "blkio.throttle.io_serviced_recursive": "8:0 Write 3\n",
            ])
        let blockIO = try cgroup.statistics().blockIO
        #expect(blockIO.serviced.map(\.value) == [2, 2])
        #expect(blockIO.sectors == [.init(major: 8, minor: 0, operation: "", value: 99)])
        #expect(blockIO.time.map(\.value) == [5])
    }

    @Test(
        "huge page sizes are written as the kernel names them",
        arguments: [(64, "64KB"), (2048, "2MB"), (1 << 20, "1GB"), (16 << 20, "16GB")])
    func pageSizes(_ kilobytes: UInt64, _ name: String) {
        #expect(HugepageController.pageSize(ofKilobytes: kilobytes) == name)
    }
}
