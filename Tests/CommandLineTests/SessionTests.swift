// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Foundation
internal import Logging
internal import SystemPackage
internal import Testing

@testable import swrunc

/// Calls of the whole command line, but only of commands that start nothing: create, run and exec
/// would re-execute the test program.
@Suite("One call of the program, from arguments to exit status")
final class SessionTests {
    private let directory = FilePath("/tmp/swrunc-session-\(UUID().uuidString)")

    init() throws {
        try FileManager.default.createDirectory(
            atPath: directory.string, withIntermediateDirectories: false)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory.string)
    }

    private var log: String { directory.appending("log").string }

    private func call(_ words: String...) -> Int32 {
        Session.run(["swrunc", "--root", directory.string, "--log", log] + words)
    }

    private func logText() throws -> String {
        try String(contentsOfFile: log, encoding: .utf8)
    }

    @Test("the log file is created even when nothing goes wrong")
    func logIsMade() throws {
        #expect(call("delete", "--force", "absent") == 0)
        #expect(try logText() == "")
    }

    @Test("only errors are logged, so that the log is one JSON object; --debug logs everything")
    func levels() throws {
        let outlet = try LogOutlet.file(FilePath(log), .text)
        outlet.logger(debug: false).warning("unread")
        #expect(try logText() == "")
        var logger = outlet.logger(debug: true)
        logger[metadataKey: "id"] = "box"
        logger.debug("a step", metadata: ["call": "mount"])
        #expect(try logText().hasSuffix(" level=debug msg=\"a step\" call=mount id=box\n"))
    }

    @Test("an error is appended to the log as exactly one JSON object")
    func errorIsLogged() throws {
        #expect(call("--log-format", "json", "state", "absent") == 1)
        let first = try logText()
        let record = try JSONValue(json: Array(first.utf8))
        guard case .object(let object) = record else {
            Issue.record("not an object: \(first)")
            return
        }
        #expect(object["level"] == .string("error"))
        #expect(object["msg"] == .string("container does not exist"))
        #expect(object["code"] == .string("notFound"))
        guard case .string(let time)? = object["time"] else {
            Issue.record("no time: \(first)")
            return
        }
        #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/) != nil)
        #expect(call("--log-format", "json", "state", "absent") == 1)
        #expect(try logText().split(separator: "\n").count == 2)
    }

    @Test(
        "a command line that cannot be understood is reported in the log, too",
        arguments: [
            (["nonsense"], "msg=\"No help topic for 'nonsense'\""),
            (["state"], #"msg="swrunc: \"state\" requires exactly 1 argument(s)""#),
            (["list", "--bogus"], #"msg="flag provided but not defined: -bogus""#),
            (["list", "-f", "xml"], #"msg="invalid format option""#),
            (["state", ""], #"msg="container id cannot be empty""#),
            (["spec", "--bundle", "/dev/null/x"], #"msg="cannot write config.json: open"#),
        ])
    func misunderstandings(_ words: [String], _ message: String) throws {
        #expect(Session.run(["swrunc", "--root", directory.string, "--log", log] + words) == 1)
        #expect(try logText().contains(message))
    }

    @Test("Podman can detect that checkpoint exists and which flags restore takes")
    func checkpointProbes() throws {
        #expect(call("checkpoint", "--help") == 0)
        #expect(call("restore", "--lsm-mount-context") == 1)
        #expect(try logText().contains("flag needs an argument: -lsm-mount-context"))
    }

    @Test(
        "--rootless takes auto and the spellings of true and false, and nothing else",
        arguments: [
            ("", true), ("auto", true), ("Auto", true), ("true", true), ("0", true), ("yes", false),
        ])
    func rootless(_ value: String, _ isTaken: Bool) throws {
        #expect(call("--rootless=\(value)", "delete", "--force", "x") == (isTaken ? 0 : 1))
        #expect(try logText().contains("for --rootless") == !isTaken)
    }

    @Test("the help names the store's default state directory")
    func standardRoot() {
        let standard = ContainerStore.standardPath.string
        #expect(GlobalFlags.root.standard?.hasPrefix("\(standard), ") == true)
    }

    @Test("/ is never used as the state directory", arguments: ["/", "//", "/x/.."])
    func rootIsRefused(_ root: String) throws {
        let words = ["swrunc", "--log", log, "--root", root, "state", "x"]
        #expect(Session.run(words) == 1)
        #expect(try logText().contains("Option --root argument should not be set to /"))
    }

    @Test("a log that is a FIFO without a reader is refused, not waited for")
    func fifoAsLog() {
        let fifo = directory.appending("fifo").string
        #expect(mkfifo(fifo, 0o600) == 0)
        #expect(Session.run(["swrunc", "--log", fifo, "features"]) == 1)
    }

    @Test("spec writes a config that can be read back, and never overwrites a file")
    func spec() throws {
        #expect(call("spec", "--bundle", directory.string) == 0)
        let path = directory.appending("config.json").string
        let bytes = try readFile(FilePath(path))
        var expected = Spec.template
        if access("/sys/fs/cgroup/cgroup.controllers", F_OK) != 0 {
            expected.linux?.namespaces?.removeAll { $0.kind == .cgroup }
        }
        #expect(try Spec(json: bytes) == expected)
        #expect(call("spec", "-b", directory.string, "--rootless") == 1)
        #expect(try logText().contains("File config.json exists. Remove it first"))
        #expect(try readFile(FilePath(path)) == bytes)
    }
}
