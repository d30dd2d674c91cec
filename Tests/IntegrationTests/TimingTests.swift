// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import ContainerKitInspection
import Glibc
import RuntimeSpec
import Testing

/// Where the time of a launch goes: --timings, --trace.
@Suite("Timings and traces", Host.root)
struct TimingTests {
    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    /// One command of a trace file: its spans, the root first.
    private struct Trace {
        var root: JSONObject
        var children: [JSONObject]

        init(line: Substring) throws {
            let spans = try JSONValue(json: Array(line.utf8))
                .member("resourceSpans").element(0).member("scopeSpans").element(0)
                .member("spans").list()
            root = try #require(spans.first?.object)
            children = spans.dropFirst().compactMap(\.object)
            try #require(children.count == spans.count - 1)
        }

        func text(_ span: JSONObject, _ key: String) -> String {
            if case .string(let text)? = span[key] { text } else { "" }
        }

        var names: Set<String> { Set(children.map { text($0, "name") }) }
        var failed: [String] {
            children.filter { $0["status"] != nil }.map { text($0, "name") }
        }

        /// The span's attribute.
        func attribute(_ span: JSONObject, _ key: String) -> String? {
            guard case .array(let pairs)? = span["attributes"] else { return nil }
            for case .object(let pair) in pairs where pair["key"] == .string(key) {
                guard case .object(let value)? = pair["value"] else { continue }
                return text(value, "stringValue")
            }
            return nil
        }

        /// Whether all are parts of one trace: unique identities, the root as parent, times inside.
        func expectIsWhole(sourceLocation: SourceLocation = #_sourceLocation) {
            let id = text(root, "spanId")
            let (start, end) = (time(root, "start"), time(root, "end"))
            #expect(start > 0 && start <= end, sourceLocation: sourceLocation)
            #expect(
                Set(children.map { text($0, "spanId") } + [id]).count == children.count + 1,
                sourceLocation: sourceLocation)
            for child in children {
                #expect(text(child, "traceId") == text(root, "traceId"))
                #expect(text(child, "parentSpanId") == id, sourceLocation: sourceLocation)
                #expect(
                    start <= time(child, "start") && time(child, "start") <= time(child, "end")
                        && time(child, "end") <= end, "\(child)", sourceLocation: sourceLocation)
            }
        }

        private func time(_ span: JSONObject, _ end: String) -> Int {
            Int(text(span, "\(end)TimeUnixNano")) ?? -1
        }
    }

    private func traces(_ path: String) throws -> [Trace] {
        try readText(path).split(separator: "\n").map(Trace.init)
    }

    private func hook(_ text: String, _ environment: [String]? = nil) -> [Hook] {
        [Hook(path: "/bin/sh", args: ["sh", "-c", text], env: environment)]
    }

    private func caller(_ traceparent: String) -> CommandOptions {
        var options = CommandOptions()
        options.environment["TRACEPARENT"] = traceparent
        return options
    }

    @Test(
        "--timings charts the runtime's and init's steps on standard error, and nothing else there")
    func chart() throws {
        try TestBundle.use { bundle throws in
            bundle.script("echo hello")
            let done = try bundle.run("--timings")
            #expect(done.status == 0 && done.output == "hello\n", "\(done)")
            let lines = done.error.lines
            let title = lines[0]
            #expect(title.contains(" run \(bundle.id): ") && title.hasSuffix(" ms"), "\(done)")
            for step in [
                "runtime  read and check the config", "runtime  clone the child",
                "init     mount proc", "init     execute \"/bin/sh\"",
            ] {
                #expect(lines.contains { $0.contains(step) }, "no \(step) in \(done)")
            }
            // The filter and what follows have no line for each, all else has.
            #expect(lines.filter { $0.contains("  init  ") }.count > 20)
        }
    }

    @Test("create, start and exec have charts of their own; start's has init's last steps")
    func commands() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.writeConfig()
            let created = try bundle.swrunc(
                "create", "--timings", "--bundle", bundle.directory, bundle.id)
            #expect(created.status == 0, "\(created)")
            #expect(created.error.contains("init     mount proc"))
            #expect(!created.error.contains("execute \"/bin/sleep\""))
            #expect(!created.error.contains("wait for start"))
            let started = try bundle.swrunc("start", "--timings", bundle.id)
            #expect(started.status == 0, "\(started)")
            #expect(started.error.contains("runtime  wait until init runs the program"))
            #expect(started.error.contains("init     execute \"/bin/sleep\""))
            #expect(!started.error.contains("init     mount proc"))
            let done = try bundle.swrunc("exec", "--timings", bundle.id, "/bin/echo", "hi")
            #expect(done.status == 0 && done.output == "hi\n", "\(done)")
            #expect(done.error.contains("init     join the container's namespaces"))
            let plan = try bundle.swrunc("explain", "--container", bundle.id)
            #expect(plan.output.lines.contains { $0.hasPrefix("=> ") && $0.contains("execute") })
        }
    }

    @Test("start without a timed create, and create without a timed start, work")
    func halves() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.create()
            let started = try bundle.swrunc("start", "--timings", bundle.id)
            #expect(started.status == 0, "\(started)")
            #expect(!started.error.contains("  init  ") && started.error.contains("runtime"))
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            let created = try bundle.swrunc(
                "create", "--timings", "--bundle", bundle.directory, bundle.id)
            #expect(created.status == 0, "\(created)")
            let plain = try bundle.swrunc("start", bundle.id)
            #expect(plain.status == 0 && plain.error == "", "\(plain)")
        }
    }

    @Test("--trace appends one line for each command, whose spans are children of its root")
    func file() throws {
        try TestBundle.use { bundle throws in
            let path = "\(bundle.directory)/trace"
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.writeConfig()
            let options = caller(Self.parent)
            let commands = [
                ["create", "--trace", path, "--bundle", bundle.directory, bundle.id],
                ["start", "--trace", path, bundle.id],
                ["exec", "--trace", path, bundle.id, "/bin/true"],
            ]
            for words in commands {
                let done = try bundle.start(words, options).wait()
                #expect(done.status == 0 && done.error == "" && done.output == "", "\(done)")
            }
            let traces = try traces(path)
            try #require(traces.count == 3)
            for (trace, command) in zip(traces, ["create", "start", "exec"]) {
                trace.expectIsWhole()
                #expect(trace.text(trace.root, "name") == "swrunc \(command)")
                #expect(trace.text(trace.root, "traceId") == "0af7651916cd43dd8448eb211c80319c")
                #expect(trace.text(trace.root, "parentSpanId") == "b7ad6b7169203331")
                #expect(trace.attribute(trace.root, "container.id") == bundle.id)
                #expect(trace.failed == [])
            }
            let known: Set = [
                "runtime.config", "runtime.plan", "runtime.child", "runtime.record", "init.mount",
                "init.root", "init.identity",
            ]
            #expect(traces[0].names.isSuperset(of: known), "\(traces[0].names)")
            let mount = traces[0].children.first {
                traces[0].text($0, "name") == "init.mount"
                    && traces[0].attribute($0, "swrunc.field")?.hasPrefix("mounts[") == true
            }
            #expect(mount.flatMap { traces[0].attribute($0, "swrunc.place") } == "init")
            #expect(traces[1].names.contains("init.execution"))
            var status = Glibc.stat()
            try check(stat(path, &status), "stat")
            #expect(status.st_mode & 0o777 & ~0o044 == 0o600)
        }
    }

    @Test("SWRUNC_TRACE names the file where the flag does not")
    func variable() throws {
        try TestBundle.use { bundle throws in
            var options = CommandOptions()
            options.environment["SWRUNC_TRACE"] = "\(bundle.directory)/trace"
            bundle.script("exit 3")
            #expect(try bundle.run(options: options).status == 3)
            let trace = try #require(try traces("\(bundle.directory)/trace").first)
            trace.expectIsWhole()
            #expect(trace.text(trace.root, "parentSpanId") == "")
            // A full disk has cut a line: the next one is whole nevertheless.
            try writeText("{\"cut", to: "\(bundle.directory)/trace")
            #expect(try bundle.run(options: options).status == 3)
            let lines = try readText("\(bundle.directory)/trace").lines
            try #require(lines.count == 2 && lines[0] == "{\"cut")
            try Trace(line: lines[1][...]).expectIsWhole()
            options.environment["SWRUNC_TRACE"] = ""
            #expect(try bundle.run(options: options).status == 3)
        }
    }

    @Test("hooks get the span as TRACEPARENT, but for those that set it; the program gets nothing")
    func hooks() throws {
        try TestBundle.use { bundle throws in
            let out = "\(bundle.directory)/hooks"
            let tell = "cat >/dev/null; echo $TRACEPARENT >> \(out)"
            bundle.spec.hooks = Hooks(
                createRuntime: hook(tell), createContainer: hook(tell, ["A=b"]),
                startContainer: hook("echo $TRACEPARENT >> /tmp/hooks"),
                poststart: hook(tell) + hook(tell, ["TRACEPARENT=own"]))
            bundle.script("echo [$TRACEPARENT]; ls /proc/self/fd | tr '\\n' ' '")
            let path = "\(bundle.directory)/trace"
            let done = try bundle.run("--trace", path, options: caller(Self.parent))
            #expect(done.status == 0 && done.error == "", "\(done)")
            #expect(done.output.hasPrefix("[]\n0 1 2 3"), "\(done)")
            #expect(done.output.split(separator: " ").count == 4, "\(done)")
            let trace = try #require(try traces(path).first)
            let own =
                "00-0af7651916cd43dd8448eb211c80319c-\(trace.text(trace.root, "spanId"))-01"
            #expect(try readText(out).lines == [own, own, own, "own"])
            #expect(try readText("\(bundle.rootfs)/tmp/hooks").lines == [own])
            let points = ["createRuntime", "createContainer", "startContainer", "poststart"]
            #expect(
                trace.names.isSuperset(
                    of: points.filter { $0 != "startContainer" }.map { "hook.\($0)" }),
                "\(trace.names)")
        }
    }

    @Test(
        "without the flags hooks get the caller's valid TRACEPARENT unchanged, and no other",
        arguments: [true, false])
    func passing(_ isValid: Bool) throws {
        try TestBundle.use { bundle throws in
            let out = "\(bundle.directory)/hooks"
            bundle.spec.hooks = Hooks(
                createRuntime: hook("cat >/dev/null; echo [$TRACEPARENT] >> \(out)", ["A=b"]))
            bundle.script("exit 0")
            let done = try bundle.run(options: caller(isValid ? Self.parent : "00-none"))
            #expect(done.status == 0 && done.error == "", "\(done)")
            #expect(try readText(out).lines == [isValid ? "[\(Self.parent)]" : "[]"])
        }
    }

    @Test("a failed launch is charted and traced up to its failure, and leaves nothing")
    func failures() throws {
        try TestBundle.use { bundle throws in
            let path = "\(bundle.directory)/trace"
            bundle.addMount("nosuchfs", "none", at: "/data")
            bundle.script("exit 0")
            let done = try bundle.run("--timings", "--trace", path)
            #expect(done.status == 1 && done.output == "", "\(done)")
            let lines = done.error.lines
            #expect(lines[0].hasSuffix(" ms, FAILED"), "\(done)")
            #expect(lines.contains { $0.contains("FAILED: mount nosuchfs") }, "\(done)")
            #expect(lines.last?.contains("nosuchfs") == true, "\(done)")
            let trace = try #require(try traces(path).first)
            trace.expectIsWhole()
            #expect(!trace.failed.isEmpty)
            #expect(trace.root["status"] != nil)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("if a hook fails, init's step is not the culprit", arguments: [true, false])
    func culprits(_ isLate: Bool) throws {
        try TestBundle.use { bundle throws in
            let hooks = [Hook(path: "/bin/false")]
            bundle.spec.hooks = isLate ? Hooks(poststart: hooks) : Hooks(createRuntime: hooks)
            bundle.script("sleep 100")
            let done = try bundle.run("--timings")
            #expect(done.status == 1, "\(done)")
            let failed = done.error.lines.filter { $0.contains("FAILED: ") }
            #expect(failed.count == 1 && failed[0].contains("/bin/false"), "\(done)")
        }
    }

    @Test("a failed step without a mark is named: behind a filter, and among many")
    func unmarked() throws {
        try TestBundle.use { bundle throws in
            for number in 0..<200 {
                bundle.addMount("tmpfs", "tmpfs", at: "/tmp/\(number)", "size=4k")
            }
            bundle.addMount("tmpfs", "tmpfs", at: "/tmp/bad", "size=bogus")
            bundle.addMount("tmpfs", "tmpfs", at: "/tmp/last", "size=4k")
            bundle.script("exit 0")
            let done = try bundle.run("--timings")
            let failed = done.error.lines.filter { $0.contains("FAILED: mount tmpfs") }
            #expect(failed.count == 1 && failed[0].contains(" on /tmp/bad"), "\(done)")
        }
    }

    @Test("a file that cannot be opened is refused before anything is done")
    func refusals() throws {
        try TestBundle.use { bundle throws in
            bundle.script("exit 0")
            bundle.expectFailure(
                try bundle.run("--trace", "\(bundle.directory)/none/trace"),
                naming: ["--trace", "no such file or directory"])
            bundle.expectFailure(
                try bundle.run("--trace="), naming: ["--trace: expected a file"])
            let fifo = "\(bundle.directory)/fifo"
            try check(mkfifo(fifo, 0o600), "mkfifo")
            bundle.expectFailure(
                try bundle.run("--trace", fifo), naming: ["--trace", "is a pipe"])
            var options = CommandOptions()
            options.environment["SWRUNC_TRACE"] = fifo
            let warned = try bundle.run(options: options)
            #expect(warned.status == 0 && warned.error.contains("nothing is traced"), "\(warned)")
            #expect(bundle.leftovers.states() == [])
            let full = try bundle.run("--trace", "/dev/full")
            #expect(full.status == 0 && full.error.contains("the trace is lost"), "\(full)")
        }
    }

    @Test("a filter that kills a process that reads the clock does not kill a timed init")
    func filters() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.seccomp = Seccomp(
                defaultAction: .allow,
                syscalls: [SeccompRule(names: ["clock_gettime"], action: .killProcess)])
            bundle.process.noNewPrivileges = false
            bundle.script("exit 0")
            let done = try bundle.run("--timings")
            #expect(done.status == 0, "\(done)")
            #expect(done.error.contains("load the seccomp filter"))
            #expect(done.error.contains("after it"))
        }
    }

    @Test("restore has a chart with CRIU's phases, and a trace", Criu.needed)
    func restoring() throws {
        try TestBundle.use { bundle throws in
            let path = "\(bundle.directory)/trace"
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0)
            let done = try bundle.restore("--timings", "--trace", path)
            #expect(done.status == 0, "\(done)")
            #expect(done.error.contains("runtime  CRIU reads the image"), "\(done)")
            #expect(done.error.contains("runtime  the processes are compared"), "\(done)")
            let trace = try #require(try traces(path).first)
            trace.expectIsWhole()
            #expect(trace.names.contains("runtime.criu") && trace.failed == [])
        }
    }
}

extension JSONValue {
    fileprivate var object: JSONObject? {
        if case .object(let object) = self { object } else { nil }
    }

    fileprivate func member(_ name: String) throws -> JSONValue {
        try #require(object?[name])
    }

    fileprivate func list() throws -> [JSONValue] {
        guard case .array(let elements) = self else { throw NoList() }
        return elements
    }

    fileprivate func element(_ index: Int) throws -> JSONValue {
        let elements = try list()
        try #require(index < elements.count)
        return elements[index]
    }

    private struct NoList: Error {}
}
