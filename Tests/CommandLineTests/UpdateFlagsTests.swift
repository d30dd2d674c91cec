// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging
internal import Testing

@testable import swrunc

@Suite("The flags of update")
struct UpdateFlagsTests {
    private func resources(_ words: String) throws -> Resources {
        let arguments = try Arguments(
            parsing: words.split(separator: " ").map(String.init), flags: UpdateFlags.all,
            stoppingAtOperand: false)
        return try UpdateFlags.resources(
            arguments, Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test("every flag of update sets its field; an absent or empty flag sets none")
    func fields() throws {
        #expect(try resources("box") == Resources())
        #expect(
            try resources("--memory= --cpu-quota= --blkio-weight 0 --cpuset-cpus= box")
                == Resources())
        #expect(
            try resources(
                "--blkio-weight 100 --cpu-period 1 --cpu-quota -1 --cpu-burst 2 --cpu-share 3"
                    + " --cpu-rt-period 4 --cpu-rt-runtime 5 --cpuset-cpus 0-1 --cpuset-mems 0"
                    + " --memory 1k --cpu-idle 1 --memory-reservation 2K --memory-swap -1"
                    + " --pids-limit 0 --kernel-memory 5 --kernel-memory-tcp 6 box")
                == Resources(
                    memory: MemoryResources(limit: 1024, reservation: 2048, swap: -1),
                    cpu: CPUResources(
                        shares: 3, quota: -1, burst: 2, period: 1, realtimeRuntime: 5,
                        realtimePeriod: 4, cpus: "0-1", mems: "0", idle: 1),
                    pids: PidsResources(limit: 0), blockIO: BlockIOResources(weight: 100)))
    }

    @Test(
        "sizes in bytes are read with Docker's units",
        arguments: [
            ("0", 0), ("4096", 4096), ("1k", 1024), ("1KB", 1024), ("1KiB", 1024), ("10b", 10),
            ("50M", 52_428_800), ("1.5g", 1_610_612_736), ("2 MB", 2_097_152), ("1t", 1 << 40),
            ("9223372036854775807", .max),
        ] as [(String, Int64)])
    func bytes(_ text: String, _ count: Int64) {
        #expect(UpdateFlags.byteCount(of: text) == count)
    }

    @Test(
        "a value that is not a number of bytes is refused",
        arguments: ["", "M", "1x", "1kk", "-1", "1ib", "1 2", "0x10", "1.2.3k", "9000p", "1e3"])
    func wrongBytes(_ text: String) {
        #expect(UpdateFlags.byteCount(of: text) == nil)
    }
}
