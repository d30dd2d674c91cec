// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Statistics of resctrl")
struct ResctrlStatisticsTests {
    /// A tree like that of a kernel with two L3 caches, with a class for "box" and its monitoring
    /// group.
    private func tree(_ offers: [String] = ["L3", "MB", "L3_MON"]) throws -> ResctrlLookalike {
        let tree = try ResctrlLookalike(offers)
        try tree.write("    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n", "schemata")
        let files = [
            ("L3/cbm_mask", "fffff\n"), ("L3/min_cbm_bits", "2\n"), ("L3/num_closids", "16\n"),
            ("L3CODE/cbm_mask", "7ff\n"), ("L3CODE/num_closids", "8\n"),
            ("MB/bandwidth_gran", "10\n"), ("MB/delay_linear", "1\n"),
            ("MB/min_bandwidth", "10\n"), ("MB/num_closids", "8\n"),
            (
                "L3_MON/mon_features",
                "llc_occupancy\nmbm_total_bytes\nmbm_total_bytes_config\nmbm_local_bytes\n"
            ),
        ]
        for (file, text) in files where offers.contains(where: { file.hasPrefix("\($0)/") }) {
            try tree.write(text, "info/\(file)")
        }
        for (group, bytes) in [("box", 1000), ("box/mon_groups/box", 0)] {
            for (cache, name) in ["mon_L3_01", "mon_L3_00", "mon_PERF_PKG_00"].enumerated() {
                try tree.makeDirectory("\(group)/mon_data/\(name)")
                try tree.write(
                    "\(bytes + cache + 1)\n", "\(group)/mon_data/\(name)/llc_occupancy",
                    "\(group)/mon_data/\(name)/mbm_total_bytes")
                try tree.write("Unavailable\n", "\(group)/mon_data/\(name)/mbm_local_bytes")
            }
        }
        try tree.write("    MB:0=20;1=100\n    L3:0=f;1=fffff\n", "box/schemata")
        return tree
    }

    private func json(_ tree: ResctrlLookalike, _ groups: [String]) -> String {
        var statistics = Statistics()
        statistics.intelRdt = Statistics.IntelRdt(
            of: groups.map { "\(tree.root)/\($0)" }, in: ResctrlTree(at: tree.root))
        guard case .object(let object) = statistics.encoded, let value = object["intel_rdt"]
        else { return "" }
        return String(decoding: value.encoded(), as: UTF8.self)
    }

    private let limits =
        #"{"l3_cache_info":{"cbm_mask":"fffff","min_cbm_bits":2,"num_closids":16},"#
        + #""l3_cache_schema_root":"L3:0=fffff;1=fffff","l3_cache_schema":"L3:0=f;1=fffff","#
        + #""mem_bw_info":{"bandwidth_gran":10,"delay_linear":1,"min_bandwidth":10,"#
        + #""num_closids":8},"mem_bw_schema_root":"MB:0=100;1=100","#
        + #""mem_bw_schema":"MB:0=20;1=100","schemata":["MB:0=20;1=100","L3:0=f;1=fffff"],"#

    @Test("resctrl statistics have runc's keys, with counters in the order of the caches")
    func ownClass() throws {
        #expect(
            json(try tree(), ["box"])
                == limits + #""mbm_stats":[{"mbm_total_bytes":1002,"mbm_local_bytes":0},"#
                + #"{"mbm_total_bytes":1001,"mbm_local_bytes":0}],"#
                + #""cmt_stats":[{"llc_occupancy":1002},{"llc_occupancy":1001}]}"#)
    }

    @Test("a monitoring group's counters replace those of the class")
    func monitoringGroup() throws {
        #expect(
            json(try tree(), ["box", "box/mon_groups/box"])
                == limits + #""mbm_stats":[{"mbm_total_bytes":2,"mbm_local_bytes":0},"#
                + #"{"mbm_total_bytes":1,"mbm_local_bytes":0}],"#
                + #""cmt_stats":[{"llc_occupancy":2},{"llc_occupancy":1}]}"#)
    }

    @Test("resctrl statistics leave out what the machine does not have")
    func lacking() throws {
        let lines = #""schemata":["MB:0=20;1=100","L3:0=f;1=fffff"]"#
        #expect(json(try tree([]), ["box"]) == "{\(lines)}")
        #expect(
            json(try tree(["MB"]), ["box"])
                == #"{"mem_bw_info":{"bandwidth_gran":10,"delay_linear":1,"min_bandwidth":10,"#
                + #""num_closids":8},"mem_bw_schema_root":"MB:0=100;1=100","#
                + #""mem_bw_schema":"MB:0=20;1=100",\#(lines)}"#)
        let counted = try tree(["L3_MON"])
        try counted.write("llc_occupancy\n", "info/L3_MON/mon_features")
        #expect(
            json(counted, ["box"])
                == #"{\#(lines),"cmt_stats":[{"llc_occupancy":1002},{"llc_occupancy":1001}]}"#)
    }

    @Test("separate code and data are two cache lines in the resctrl statistics")
    func codeAndData() throws {
        let tree = try tree(["L3CODE", "L3DATA"])
        try tree.write("L3DATA:0=ff\nL3CODE:0=f0\nSMBA:0=2048\n", "box/schemata")
        let text = json(tree, ["box"])
        #expect(text.hasPrefix(#"{"l3_cache_info":{"cbm_mask":"7ff","num_closids":8},"#))
        #expect(text.contains(#""l3_cache_schema":"L3DATA:0=ff\nL3CODE:0=f0""#))
    }

    @Test("a resctrl group that no longer exists has no lines and no counters")
    func gone() throws {
        let tree = try tree(["L3_MON"])
        #expect(json(tree, ["other"]) == #"{"mbm_stats":[],"cmt_stats":[]}"#)
    }
}
