// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging
internal import SystemPackage
internal import Testing

@testable import swrunc

@Suite("What is printed and logged")
struct OutputTests {
    @Test(
        "a text record is a line as logrus writes it: values that need quotes are quoted",
        arguments: [
            ("container does not exist", #"msg="container does not exist""#),
            ("plain", "msg=plain"), ("", #"msg="""#),
            ("a \"b\" \\", #"msg="a \"b\" \\""#), ("two\nlines\t", #"msg="two\nlines\t""#),
            ("\u{1}\u{7F}é", #"msg="\x01\x7fé""#),
        ])
    func textRecords(_ message: String, _ expected: String) {
        let record = LogRecord(level: .error, message: message, time: "2026-11-21T01:29:11Z")
        #expect(record.line(.text) == "time=\"2026-11-21T01:29:11Z\" level=error \(expected)\n")
    }

    @Test("a JSON record has level, msg and time first, and no field hides one of them")
    func jsonRecords() {
        let record = LogRecord(
            level: .debug, message: "a \"b\"\n", time: "T",
            fields: [("call", .string("open")), ("msg", .string("other")), ("errno", .integer(2))])
        #expect(
            record.line(.json)
                == #"{"level":"debug","msg":"a \"b\"\n","time":"T","call":"open","#
                + #""fields.msg":"other","errno":2}"# + "\n")
    }

    @Test(
        "log levels have the names of logrus",
        arguments: [
            (Logger.Level.trace, "trace"), (.debug, "debug"), (.info, "info"), (.notice, "info"),
            (.warning, "warning"), (.error, "error"), (.critical, "error"),
        ])
    func levels(_ level: Logger.Level, _ name: String) {
        let line = LogRecord(level: level, message: "m", time: "T").line(.text)
        #expect(line == "time=\"T\" level=\(name) msg=m\n")
    }

    private let refusal = ContainerError(
        .initFailed, "cannot mask the path", field: "linux.maskedPaths[3]",
        failure: SystemCallError("openat2", #""/proc/kcore""#, errno: .permissionDenied),
        hint: "look at the owner of the rootfs")

    @Test("a failure is logged for engines with runc's words before it and its parts as fields")
    func failureRecord() {
        let failure = Failure(refusal, of: .create, program: "runc")
        #expect(
            failure.record(time: "T").line(.json)
                == #"{"level":"error","msg":"runc create failed: unable to start container process: "#
                + #"error during container init: \#(escapedRefusal)","time":"T","#
                + #""code":"initFailed","field":"linux.maskedPaths[3]","#
                + #""call":"openat2(\"/proc/kcore\")","errno":13,"#
                + #""hint":"look at the owner of the rootfs"}"# + "\n")
    }

    private let escapedRefusal =
        #"linux.maskedPaths[3]: cannot mask the path: openat2(\"/proc/kcore\"): permission denied"#

    @Test("a failure is shown to a person without runc's prefix, with the hint on its own line")
    func failureForPerson() {
        let failure = Failure(refusal, of: .run, program: "swrunc")
        #expect(
            failure.personText(program: "swrunc", command: .run) == """
                swrunc run: linux.maskedPaths[3]: cannot mask the path: \
                openat2("/proc/kcore"): permission denied
                hint: look at the owner of the rootfs

                """)
    }

    @Test("terminal control characters are escaped in messages for a person and in the text log")
    func controlCharacters() {
        let text = "a\u{1b}[2Jb\u{9b}c\u{202e}d\re\nf\u{7f}ä"
        let escaped = #"a\x1b[2Jb\u009bc\u202ed\re\nf\x7fä"#
        let failure = Failure(
            ContainerError(.hookFailed, text, hint: text), of: .state, program: "swrunc")
        #expect(
            failure.personText(program: "swrunc", command: .state)
                == "swrunc state: \(escaped)\nhint: \(escaped)\n")
        let record = LogRecord(level: .error, message: text, time: "T")
        #expect(record.line(.text) == "time=\"T\" level=error msg=\"\(escaped)\"\n")
        #expect(record.line(.json).contains(#"a\u001b[2Jb\u009bc"#))
        #expect(Printable.text("a\n\tb\u{1b}", keepingLines: true) == "a\n\tb\\x1b")
    }

    @Test(
        "the command determines runc's words before a failure, and the exit status",
        arguments: [
            (
                "create",
                "swrunc create failed: unable to start container process: "
                    + "error during container init: ", Int32(1)
            ),
            (
                "run",
                "swrunc run failed: unable to start container process: "
                    + "error during container init: ", 1
            ),
            ("exec", "exec failed: unable to start container process: ", 255), ("state", "", 1),
            ("kill", "", 1), ("delete", "", 1),
        ])
    func leads(_ name: String, _ lead: String, _ status: Int32) throws {
        let command = try #require(Command.named(name))
        let failure = Failure(refusal, of: command, program: "swrunc")
        #expect(failure.lead == lead)
        #expect(failure.status == status)
    }

    @Test(
        "a failure of init or of a mount is reported in the words that runc uses for that stage",
        arguments: [
            (.initFailed, "mounts[1]", "error during container init: error mounting: "),
            (.systemCall, "mounts[1]", "error during container init: error mounting: "),
            (.invalidSpec, "mounts[1].options", "error during container init: error mounting: "),
            (.initFailed, "hostname", "error during container init: "),
            (.executableNotFound, "process.args[0]", "error during container init: "),
            (.invalidSpec, "process.cwd", nil), (.alreadyExists, nil, nil),
            (.cgroup, "linux.resources.pids.limit", nil),
            (.cgroup, "linux.cgroupsPath", "unable to apply cgroup configuration: "),
        ] as [(ContainerError.Code, String?, String?)])
    func contexts(_ code: ContainerError.Code, _ field: String?, _ context: String?) {
        let failure = Failure(
            ContainerError(code, "m", field: field), of: .run, program: "runc")
        let start = context.map { "unable to start container process: " + $0 } ?? ""
        #expect(failure.lead == "runc run failed: " + start)
    }

    private static let state = State(
        ociVersion: "1.3.0", id: "cx", pid: 25151, status: .created, bundle: "/tmp/cli/b",
        rootfs: "/tmp/cli/b/rootfs", created: "2026-11-21T01:30:01.069508468Z", owner: "root")

    @Test("the table of list has runc's columns")
    func table() {
        #expect(
            Command.table(of: [])
                == "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n")
        #expect(
            Command.table(of: [Self.state]) == """
                ID          PID         STATUS      BUNDLE       CREATED                          \
                OWNER
                cx          25151       created     /tmp/cli/b   2026-11-21T01:30:01.069508468Z   \
                root

                """)
    }

    @Test("the JSON of list is one line, and null without containers")
    func listJSON() {
        #expect(Command.json(of: []) == "null\n")
        #expect(
            Command.json(of: [Self.state])
                == #"[{"ociVersion":"1.3.0","id":"cx","pid":25151,"status":"created","#
                + #""bundle":"/tmp/cli/b","rootfs":"/tmp/cli/b/rootfs","#
                + #""created":"2026-11-21T01:30:01.069508468Z","owner":"root"}]"# + "\n")
    }

    @Test("the version begins with the name under which the program was called, as engines expect")
    func version() {
        let lines = VersionText.of(program: "runc").split(separator: "\n")
        #expect(lines[0] == "runc version \(RuntimeVersion.string)")
        #expect(lines.contains("spec: \(RuntimeVersion.specVersion)"))
        #expect(lines.filter { $0.contains("version") }.count == 1)
    }
}
