// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("swrunc metrics", Host.root)
struct MetricsTests {
    /// Whether each line is a comment or a sample, and the end is `# EOF`.
    private func isWhole(_ text: String) -> Bool {
        let sample = /[a-z_]+(\{([a-z_]+="([^"\\\n]|\\[\\"n])*",?)+\})? [0-9]+(\.[0-9]+)?/
        return text.hasSuffix("\n# EOF\n")
            && text.lines.allSatisfy { $0.hasPrefix("# ") || $0.wholeMatch(of: sample) != nil }
    }

    private func number(_ name: String, _ id: String, in text: String) -> Double? {
        let line = text.lines.first { $0.hasPrefix("\(name){id=\"\(id)\"} ") }
        return line.flatMap { Double($0.split(separator: " ").last ?? "") }
    }

    @Test("containers in each state have their state, their usage and their labels")
    func states() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.annotations = ["pod.name": "a \"b\"\n\\c", "other": "x"]
            let (created, paused) = ("\(bundle.id)-created", "\(bundle.id)-paused")
            try bundle.create(id: created)
            try bundle.startSleeping()
            try bundle.startSleeping(id: paused)
            try #require(try bundle.swrunc("pause", paused).status == 0)
            let done = try bundle.swrunc("metrics", "--labels", "pod.name,none")
            #expect(done.status == 0 && done.error == "", "\(done)")
            #expect(isWhole(done.output), "\(done)")
            for (id, state) in [(created, "created"), (bundle.id, "running"), (paused, "paused")] {
                let line = "container_state{id=\"\(id)\",container_state=\"\(state)\"} 1"
                #expect(done.output.contains(line), "\(line) in \(done)")
                let info =
                    "container_info{id=\"\(id)\",bundle=\"\(bundle.directory)\","
                    + "annotation_pod_name=\"a \\\"b\\\"\\n\\\\c\"} 1"
                #expect(done.output.contains(info), "\(info) in \(done)")
                let start = number("container_start_time_seconds", id, in: done.output) ?? 0
                #expect(abs(start - Double(time(nil))) < 600)
            }
            #expect(
                number("container_cpu_usage_seconds_total", bundle.id, in: done.output) ?? 0 > 0)
            #expect(number("container_threads", bundle.id, in: done.output) == 1)
            #expect(done.output.contains("container_scrape_error 0\n"))
            let one = try bundle.swrunc("metrics", paused)
            #expect(one.output.contains(paused) && !one.output.contains(created), "\(one)")
        }
    }

    @Test("a container that cannot be read gives a warning, and the others still come")
    func damaged() throws {
        try TestBundle.use { bundle throws in
            let other = "\(bundle.id)-other"
            try bundle.startSleeping()
            try bundle.create(id: other)
            let record = "\(bundle.store)/\(other)/state.json"
            let text = try readText(record)
            try writeText("{", to: record)
            let done = try bundle.swrunc("metrics")
            try writeText(text, to: record)
            #expect(done.status == 0 && isWhole(done.output), "\(done)")
            #expect(done.error.lines.count == 1 && done.error.contains(other), "\(done)")
            #expect(done.output.contains("id=\"\(bundle.id)\""))
            #expect(!done.output.contains(other))
            #expect(done.output.contains("container_scrape_error 1\n"))
        }
    }

    @Test("a container that has ended still has its state, and one that is deleted is left out")
    func ended() throws {
        try TestBundle.use { bundle throws in
            bundle.script("exit 3")
            try bundle.create()
            try #require(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.waits(for: .stopped))
            let done = try bundle.swrunc("metrics")
            #expect(
                done.output.contains(
                    "container_state{id=\"\(bundle.id)\",container_state=\"stopped\"} 1"), "\(done)"
            )
            try #require(try bundle.swrunc("delete", bundle.id).status == 0)
            let after = try bundle.swrunc("metrics")
            #expect(after.status == 0 && !after.output.contains(bundle.id), "\(after)")
            bundle.expectFailure(
                try bundle.swrunc("metrics", bundle.id), naming: ["container does not exist"])
        }
    }

    @Test("--output replaces a file at once, and nothing else than a file")
    func output() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let directory = "\(bundle.directory)/out"
            try makeDirectory(directory)
            let file = "\(directory)/swrunc.prom"
            try writeText("old", to: file)
            let reader = try check(open(file, O_RDONLY), "open")
            defer { close(reader) }
            let done = try bundle.swrunc("metrics", "--output", file)
            #expect(done.status == 0 && done.output == "" && done.error == "", "\(done)")
            #expect(isWhole(try readText(file)))
            var bytes = [UInt8](repeating: 0, count: 8)
            #expect(read(reader, &bytes, 8) == 3, "who has it open reads the old text")
            #expect(entries(of: directory) == ["swrunc.prom"])
            let link = "\(directory)/link"
            try check(symlink(file, link), "symlink")
            for place in [link, directory, "/dev/null"] {
                bundle.expectFailure(
                    try bundle.swrunc("metrics", "-o", place), naming: ["not a regular file"])
            }
            bundle.expectFailure(
                try bundle.swrunc("metrics", "-o", "\(directory)/none/a"),
                naming: ["unable to write the metrics", "no such file or directory"])
            #expect(entries(of: directory).sorted() == ["link", "swrunc.prom"])
        }
    }

    @Test("metrics are read while containers come and go, without a warning")
    func racing() throws {
        try TestBundle.use { bundle throws in
            let running = try bundle.runInTurn(20)
            for _ in 0..<30 {
                let done = try bundle.swrunc("metrics")
                #expect(done.status == 0 && done.error == "" && isWhole(done.output), "\(done)")
            }
            #expect(try running.wait().status == 0)
        }
    }
}
