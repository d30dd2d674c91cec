// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage
internal import Testing

@testable import swrunc

private let force = Flag("force", "f", .toggle, "")
private let bundle = Flag("bundle", "b", .text, "")
private let count = Flag("preserve-fds", nil, .number, "")
private let systemd = Flag("systemd-cgroup", nil, .toggle, "", support: .only(["false"]))
private let always = Flag("as-always", nil, .toggle, "", support: .only(["true"]))
private let anyBytes = Flag("env", "e", .bytes, "")
private let flags = [force, bundle, count, systemd, always, anyBytes]

private func read(
    _ words: [String], stoppingAtOperand: Bool = false
) throws(UsageError) -> Arguments {
    try Arguments(parsing: words, flags: flags, stoppingAtOperand: stoppingAtOperand)
}

@Suite("Arguments of a command line")
struct ArgumentsTests {
    @Test(
        "a text flag takes one dash or two, its letter, and its value after = or as the next word",
        arguments: [
            ["--bundle", "/b", "id"], ["-bundle", "/b", "id"], ["-b", "/b", "id"],
            ["--b", "/b", "id"], ["--bundle=/b", "id"], ["-bundle=/b", "id"], ["-b=/b", "id"],
            ["id", "--bundle", "/b"], ["id", "-b=/b"], ["--bundle", "/b", "--", "id"],
        ])
    func textFlags(_ words: [String]) throws {
        let arguments = try read(words)
        #expect(arguments.text(bundle) == "/b")
        #expect(arguments.operands == ["id"])
        #expect(!arguments.has(force))
    }

    @Test(
        "operands and flags with byte values keep bytes that are not UTF-8; other flags refuse them"
    )
    func bytes() throws {
        let latin = ByteText(bytes: [0x63, 0x61, 0x66, 0xe9])
        let words: [ByteText] = ["-e", latin, ByteText(bytes: [0x2d, 0x65, 0x3d, 0xff]), latin]
        let arguments = try Arguments(parsing: words, flags: flags, stoppingAtOperand: true)
        #expect(arguments.bytes(anyBytes) == [latin, ByteText(bytes: [0xff])])
        #expect(arguments.words == [latin])
        #expect(arguments.path(anyBytes)?.length == 1)
        let error = #expect(throws: UsageError.self) {
            try Arguments(
                parsing: ["-b", latin] as [ByteText], flags: flags, stoppingAtOperand: true)
        }
        #expect(error?.message.hasSuffix("for flag -b: not UTF-8") == true)
    }

    @Test(
        "a boolean flag is true without a value and accepts Go's boolean words after =",
        arguments: [
            (["-f"], true), (["--force"], true), (["-force"], true), (["--force=true"], true),
            (["-f=1"], true), (["-f=T"], true), (["-f=TRUE"], true), (["--force=false"], false),
            (["-f=0"], false), (["-f=f"], false), (["-f=False"], false), ([], false),
            (["-f", "-f=false"], false), (["-f=false", "-f"], true),
        ])
    func toggles(_ words: [String], _ expected: Bool) throws {
        #expect(try read(words + ["id"]).has(force) == expected)
    }

    @Test("a boolean flag does not take the next word as its value")
    func toggleTakesNoWord() throws {
        #expect(try read(["-f", "false"]).operands == ["false"])
    }

    @Test("a value may be empty, look like a flag, or hold an equals sign")
    func oddValues() throws {
        #expect(try read(["--bundle="]).text(bundle) == "")
        #expect(try read(["--bundle", "-f"]).text(bundle) == "-f")
        #expect(try read(["--bundle", "--"]).text(bundle) == "--")
        #expect(try read(["--bundle=a=b"]).text(bundle) == "a=b")
    }

    @Test("the last value of a repeated flag counts, and all its values can be read in order")
    func repeatedFlags() throws {
        let arguments = try read(["-b", "1", "id", "--bundle=2"])
        #expect(arguments.text(bundle) == "2")
        #expect(arguments.texts(bundle) == ["1", "2"])
        #expect(arguments.texts(count) == [])
    }

    @Test("a number flag gives a number, also a negative one")
    func numbers() throws {
        #expect(try read(["--preserve-fds", "3"]).number(count) == 3)
        #expect(try read(["--preserve-fds=-1"]).number(count) == -1)
        #expect(try read([]).number(count) == nil)
    }

    @Test("a lone dash is an operand, and so is every word after --")
    func operands() throws {
        #expect(try read(["-", "--", "--bundle", "-f"]).operands == ["-", "--bundle", "-f"])
    }

    @Test("flags and a -- that follow the program of exec belong to that program")
    func stoppingAtOperand() throws {
        let words = ["-f", "id", "-f", "--", "--bundle", "-x"]
        let arguments = try read(words, stoppingAtOperand: true)
        #expect(arguments.has(force))
        #expect(arguments.operands == ["id", "-f", "--", "--bundle", "-x"])
        #expect(arguments.text(bundle) == nil)
    }

    @Test(
        "a wrong flag is reported in Go's words, which engines search for",
        arguments: [
            (["--bogus", "id"], "flag provided but not defined: -bogus"),
            (["id", "-x=1"], "flag provided but not defined: -x"),
            (["-fb"], "flag provided but not defined: -fb"),
            (["-9"], "flag provided but not defined: -9"),
            (["--bundle"], "flag needs an argument: -bundle"),
            (["id", "-b"], "flag needs an argument: -b"),
            (["---bundle", "x"], "bad flag syntax: ---bundle"),
            (["-=x"], "bad flag syntax: -=x"),
            (["--="], "bad flag syntax: --="),
            (["-f=maybe"], #"invalid boolean value "maybe" for -f: parse error"#),
            (["--force="], #"invalid boolean value "" for -force: parse error"#),
            (["--preserve-fds=x"], #"invalid value "x" for flag -preserve-fds: parse error"#),
            (
                ["--preserve-fds", "99999999999999999999"],
                #"invalid value "99999999999999999999" for flag -preserve-fds: parse error"#
            ),
        ])
    func usageErrors(_ words: [String], _ message: String) {
        #expect(throws: UsageError(message)) { try read(words) }
    }

    @Test("a flag that has no effect is reported, unless its value asks for nothing")
    func unsupportedFlags() throws {
        #expect(try read(["--systemd-cgroup"]).unsupported == "--systemd-cgroup")
        #expect(try read(["-f", "--systemd-cgroup=1"]).unsupported == "--systemd-cgroup")
        #expect(try read(["--systemd-cgroup=0"]).unsupported == nil)
        #expect(try read(["-f", "-b", "x"]).unsupported == nil)
        #expect(try read(["--as-always"]).unsupported == nil)
        #expect(try read(["--as-always=0"]).unsupported == "--as-always=false")
    }
}
