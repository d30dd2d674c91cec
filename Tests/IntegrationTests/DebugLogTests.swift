// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Testing

@Suite("Debug log", Host.root)
struct DebugLogTests {
    @Test("run --debug logs every step that explain shows, and that the child's steps are done")
    func everyStep() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            try bundle.writeConfig()
            let explained = try bundle.swrunc("explain", "-b", bundle.directory, bundle.id).output
            let parts = explained.split(separator: "The init process:\n")
            let child = parts[1].split(separator: "\nLater, ")[0]
            let steps = child.split(separator: "\n").map { line in
                line.split(separator: "  ").last.map { String($0).trimmed } ?? ""
            }
            let done = try bundle.swrunc("--debug", "run", "-b", bundle.directory, bundle.id)
            #expect(done.status == 0 && done.output == "")
            let lines = done.error.split(separator: "\n").filter { $0.contains("outcome=done") }
            try #require(lines.count == steps.count && steps.count > 20, "\(done)")
            for (line, step) in zip(lines, steps) {
                // explain shows create, in which start gives the last order; run gives it itself.
                let own = step.hasPrefix("wait for start") ? "wait for the runtime: start" : step
                let text = own.split(separator: "\"")[0]
                #expect(line.contains("msg=\"init: \(text)"), "\(line)")
            }
        }
    }

    @Test("a query prints only its answer, whatever the log level")
    func queries() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let queries = [
                ["state", bundle.id], ["list"], ["ps", "-f", "json", bundle.id], ["features"],
            ]
            for query in queries {
                for level in [["--debug"], ["--log-level", "debug"]] {
                    let done = try bundle.start(level + query).wait()
                    #expect(done.status == 0 && done.error == "", "\(done)")
                }
            }
            let log = "\(bundle.directory)/log"
            _ = try bundle.swrunc("--debug", "--log", log, "state", bundle.id)
            #expect(try readText(log).contains("level=debug"))
        }
    }

    @Test("run --debug ends its log with the step at which init failed")
    func failedStep() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("nosuchfs", "none", at: "/mnt")
            try bundle.writeConfig()
            let done = try bundle.swrunc("--debug", "run", "-b", bundle.directory, bundle.id)
            #expect(done.status == 1)
            let lines = done.error.split(separator: "\n").filter { $0.contains("msg=\"init: ") }
            #expect(lines.last?.contains("mount nosuchfs on /mnt") == true, "\(done)")
            #expect(lines.last?.contains("field=\"mounts[7]\" outcome=failed") == true)
            #expect(lines.filter { $0.contains("outcome=failed") }.count == 1)
        }
    }

    @Test("start, kill and delete log with --debug which process they act on")
    func laterCommands() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            try bundle.create()
            let pid = try bundle.state().pid
            for words in [["start"], ["kill"], ["delete", "--force"]] {
                let done = try bundle.start(["--debug"] + words + [bundle.id]).wait()
                #expect(done.status == 0 && done.error.contains("\(pid)"), "\(done)")
                #expect(done.error.contains("level=debug msg=\(words[0]) "), "\(done)")
            }
        }
    }
}
