// SPDX-License-Identifier: Apache-2.0

import FuzzRules
import Glibc
import RuntimeSpec

@testable import ContainerKit

extension Target {
    /// Texts of the kernel, of images and of the environment: the first byte chooses the reader.
    static let kernel = Target("kernel") { bytes in
        guard let choice = bytes.first else { return }
        let text = Array(bytes.dropFirst())
        let word = String(decoding: text, as: UTF8.self)
        switch choice {
        case UInt8(ascii: "m"): checkMounts(text)
        case UInt8(ascii: "s"): _ = ProcessStat(parsing: text).map { ($0.hasEnded, $0.startTime) }
        case UInt8(ascii: "p"):
            let home = PasswordFile.home(ofUser: 0, in: text)
            expect(home?.isEmpty != true, "an empty home directory")
            _ = PasswordFile.name(ofUser: 1000, in: text)
        case UInt8(ascii: "c"):
            let layout = try? CgroupLayout(cgroupsPath: "/a/b", id: "box", in: .hybrid)
            _ = layout?.following(text).record
        case UInt8(ascii: "u"): _ = Cgroup.number("usage_usec", in: text)
        case UInt8(ascii: "i"): _ = BlockIOController.sums(in: text, " rbytes=", " wbytes=")
        case UInt8(ascii: "n"): _ = CPUSetController.numbers(in: text)
        case UInt8(ascii: "t"):
            guard let trace = TraceContext(traceparent: word) else { return }
            expect(
                TraceContext(traceparent: trace.traceparent) == trace, "a traceparent differs")
        case UInt8(ascii: "k"):
            do throws(UnknownSignalError) {
                let signal = try Signal(parsing: word, allowingProbe: true)
                expect((0...64).contains(signal.rawValue), "signal \(signal.rawValue)")
            } catch {
                expect(!"\(error)".isEmpty, "no word on an unknown signal")
            }
        case UInt8(ascii: "b"): _ = Base64.bytes(of: word)
        case UInt8(ascii: "a"): _ = DBusAddress.sockets(in: word)
        default: break
        }
    }

    /// The statistics of a cgroup, all of whose files have the input as their text.
    static let statistics = Target("statistics") { bytes in
        directory.fill(bytes)
        for layout in [CgroupDirectoryOnDisk.v2, CgroupDirectoryOnDisk.v1] {
            let cgroup = Cgroup(layout)
            do throws(CgroupError) {
                let statistics = try cgroup.statistics()
                _ = try cgroup.usage()
                _ = (cgroup.oomKillCount, cgroup.outOfMemoryKills)
                // The kernel names no value twice, and every share is a number; a text may.
                let text = statistics.encoded.encoded()
                expect((try? JSONValue(json: text)) != nil, "the statistics are no JSON")
            } catch {
                fail("the statistics cannot be read: \(error)")
            }
        }
    }
}

/// The table of mounts, and behind a zero the caller's cgroups.
private func checkMounts(_ text: [UInt8]) {
    let parts = text.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    for line in parts[0].split(separator: UInt8(ascii: "\n")) {
        guard let entry = MountTableEntry(line) else { continue }
        expect(!entry.type.isEmpty, "a mount without a type")
    }
    let hierarchies = CgroupHierarchies(
        mountInfo: Array(parts[0]), ownCgroups: parts.count > 1 ? Array(parts[1]) : [])
    _ = try? CgroupLayout(cgroupsPath: "a", id: "box", in: hierarchies)
}

extension CgroupHierarchies {
    fileprivate static let hybrid = CgroupHierarchies(
        mode: .hybrid,
        hierarchies: [
            CgroupHierarchy(controllers: ["memory"], mountPoint: "/m", ownPath: ""),
            CgroupHierarchy(controllers: [], mountPoint: "/u", ownPath: "/caller"),
        ], unifiedControllers: [])
}

private let directory = CgroupDirectoryOnDisk()

/// A directory like a cgroup's: every name leads to one file.
private struct CgroupDirectoryOnDisk {
    /// FUZZ_DIRECTORY, which conformance/security/coverage makes and removes.
    private static let path = getenv("FUZZ_DIRECTORY").map { String(cString: $0) } ?? "/tmp"
    private static let names = [
        "cpu.stat", "cpu.pressure", "io.stat", "io.pressure", "memory.stat", "memory.events",
        "memory.current", "memory.max", "memory.peak", "memory.pressure", "memory.swap.current",
        "memory.swap.max", "memory.oom_control", "memory.usage_in_bytes", "pids.current",
        "pids.max", "rdma.current", "cpuset.cpus", "cpuset.mems", "cpuacct.usage",
        "cpuacct.usage_all", "cpuacct.stat", "cpuacct.usage_percpu",
        "blkio.bfq.io_serviced_recursive", "blkio.throttle.io_service_bytes_recursive",
        "cpuset.sched_relax_domain_level", "hugetlb.2MB.events",
    ]
    private let file: CInt

    init() {
        file = open("\(Self.path)/text", O_RDWR | O_CREAT | O_TRUNC, 0o600)
        expect(file >= 0, "no file can be made in \(Self.path)")
        for name in Self.names { symlink("text", "\(Self.path)/\(name)") }
    }

    func fill(_ bytes: [UInt8]) {
        expect(ftruncate(file, 0) == 0, "the file cannot be emptied")
        expect(pwrite(file, bytes, bytes.count, 0) == bytes.count, "the file cannot be written")
    }

    static let v2 = layout(.unified, [])
    static let v1 = layout(
        .legacy, ["cpu", "cpuacct", "memory", "pids", "blkio", "cpuset", "hugetlb", "rdma"])

    private static func layout(
        _ mode: CgroupHierarchies.Mode, _ controllers: [String]
    ) -> CgroupLayout {
        CgroupLayout(
            mode: mode,
            directories: [
                CgroupDirectory(controllers: controllers, mountPoint: path, cgroup: "/.")
            ],
            unifiedControllers: ["cpu", "io", "memory", "pids", "cpuset", "hugetlb", "rdma"])
    }
}
