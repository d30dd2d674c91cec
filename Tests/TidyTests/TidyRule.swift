// SPDX-License-Identifier: Apache-2.0

import Testing

/// A rule for all files of the project.
struct TidyRule: Sendable, CustomTestStringConvertible {
    /// The rule as a sentence.
    var sentence: String
    /// The indices of the lines that violate the rule.
    var violations: @Sendable (SourceFile) -> [Int]
    /// A file that violates the rule.
    var bad: SourceFile
    /// A similar file that keeps the rule.
    var good: SourceFile

    var testDescription: String { sentence }

    static let all: [TidyRule] = sizes + imports + unsafety + numbers + texts + names
}

// MARK: - Sizes

extension TidyRule {
    private static let long = (0..<501).map { "let a\($0) = 0" }.joined(separator: "\n")
    private static let body = (0..<79).map { "    a(\($0))" }.joined(separator: "\n")

    static let sizes: [TidyRule] = [
        TidyRule(
            sentence: "a file has at most 500 lines",
            violations: { file in
                (file.isSwift || file.isC) && file.lines.count > 500 ? [500] : []
            },
            bad: SourceFile("Sources/swrunc/A.swift", long),
            good: SourceFile("spec-fixtures/good/a.json", long)),
        TidyRule(
            sentence: "a function has at most 80 lines",
            violations: { file in file.isSwift ? longFunctions(file) : [] },
            bad: SourceFile("Sources/swrunc/A.swift", "func f() {\n\(body)\n\n}"),
            good: SourceFile("Sources/swrunc/A.swift", "func f(\n    a: Int\n) {\n\(body)")),
    ]

    /// Where functions of more than 80 lines begin.
    ///
    /// The formatter indents a function's closing brace like its declaration.
    private static func longFunctions(_ file: SourceFile) -> [Int] {
        let declaration =
            /^ *((public|internal|private|fileprivate|static|mutating|nonisolated|@\w+) )*(func |init[?(<]|deinit )/
        let starts = ["func ", "init", "deinit"].flatMap {
            file.lines(with: $0, matching: declaration)
        }
        return starts.filter { start in
            let indent = file.lines[start].prefix { $0 == " " }
            guard !file.lines[start].hasSuffix("}") else { return false }
            let end = file.lines[start...].firstIndex { $0 == indent + "}" }
            return end.map { $0 - start + 1 > 80 } ?? false
        }
    }
}

// MARK: - Imports

extension TidyRule {
    /// What each target may import.
    ///
    /// Source: the table of targets in Package.swift; the pure ones import nothing that could
    /// reach the system.
    static let allowedImports: [String: Set<String>] = [
        "ByteText": [],
        "RuntimeSpec": ["ByteText"],
        // Only for its Errno.
        "KernelVocabulary": ["SystemPackage"],
        "InitProgram": ["ByteText", "CLinux", "KernelVocabulary", "SystemPackage"],
        "ContainerKit": [
            "BuildCommit", "ByteText", "CCap", "CLinux", "CSeccomp", "InitMachine", "InitProgram",
            "KernelVocabulary", "Logging", "RuntimeSpec", "Synchronization", "SystemPackage",
        ],
        // The C library for threads, reads and writes.
        "ContainerKitAsync": ["ContainerKit", "Glibc", "Musl", "Synchronization", "SystemPackage"],
        "ContainerKitCodable": ["ContainerKit"],
        "ContainerKitInspection": [
            "ByteText", "ContainerKit", "KernelVocabulary", "RuntimeSpec", "SystemPackage",
        ],
        // The C library for the standard streams and the exit status.
        "swrunc": [
            "ContainerKit", "ContainerKitInspection", "Glibc", "Logging", "Musl",
            "ProgramArguments", "RuntimeSpec", "SystemPackage",
        ],
    ]

    static let imports: [TidyRule] = [
        TidyRule(
            sentence: "a target imports only what its layer may",
            violations: { file in
                guard file.isSource, file.isSwift, let target = file.target else { return [] }
                let allowed = allowedImports[target] ?? []
                return file.lines.indices.filter { index in
                    imported(file.lines[index]).map { !allowed.contains($0) } ?? false
                }
            },
            bad: SourceFile("Sources/RuntimeSpec/Model/A.swift", "internal import CLinux"),
            good: SourceFile("Sources/InitProgram/A.swift", "internal import CLinux")),
        TidyRule(
            sentence: "Foundation is imported by tests only",
            violations: { file in
                guard file.isSource else { return [] }
                return file.lines.indices.filter {
                    imported(file.lines[$0])?.hasPrefix("Foundation") == true
                }
            },
            bad: SourceFile("Sources/swrunc/A.swift", "import FoundationEssentials"),
            good: SourceFile("Tests/TidyTests/A.swift", "import Foundation")),
        TidyRule(
            sentence: "what needs Linux stands between #if os(Linux) and #endif",
            violations: { file in
                let swift = [
                    "ContainerKit", "ContainerKitAsync", "ContainerKitInspection", "InitProgram",
                    "KernelVocabulary",
                ]
                guard file.isSource, file.name != "CLinux.c" else { return [] }
                if file.isC { return file.lines.contains("#ifdef __linux__") ? [] : [0] }
                guard file.isSwift, swift.contains(file.target ?? "") else { return [] }
                // Titles and what is exported anew are for all systems.
                let first = file.lines.firstIndex { line in
                    !line.isEmpty && !line.hasPrefix("@_exported")
                        && (!line.hasPrefix("//") || line.hasPrefix("///"))
                }
                guard let first else { return [] }
                let begins = ["#if os(Linux)", "#if !os(Linux)"].contains(file.lines[first])
                return begins && file.lines.last { !$0.isEmpty } == "#endif" ? [] : [first]
            },
            bad: SourceFile("Sources/InitProgram/A.swift", "// A title.\n\nstruct A {}"),
            good: SourceFile(
                "Sources/InitProgram/A.swift", "// A title.\n\n#if os(Linux)\nstruct A {}\n#endif\n"
            )),
        TidyRule(
            sentence: "a C library is imported as Musl or Glibc, whichever there is",
            violations: { file in
                guard file.isSource, file.isSwift else { return [] }
                return file.lines(with: "Glibc", matching: /import Glibc/).filter { index in
                    let before = file.lines[..<index].suffix(3)
                    return index < 3 || before.first != "#if canImport(Musl)"
                        || before.last != "#else"
                        || before.dropFirst().first
                            != file.lines[index].replacing("Glibc", with: "Musl")
                }
            },
            bad: SourceFile("Sources/swrunc/A.swift", "internal import Glibc"),
            good: SourceFile(
                "Sources/swrunc/A.swift",
                "#if canImport(Musl)\ninternal import Musl\n#else\ninternal import Glibc\n#endif")),
        TidyRule(
            // The binary is linked without the start of libdispatch (Sources/swrunc/layout.ld).
            sentence: "nothing that the command is made of waits for a task, or starts one",
            violations: { file in
                guard file.isSource, file.isSwift, file.target != "ContainerKitAsync" else {
                    return []
                }
                return ["async", "await", "Task", "actor"].flatMap {
                    file.lines(
                        with: $0,
                        matching: /^[^"\/]*\b((async|await)\b|Task(\.\w+)? *[{(]|actor +[A-Z])/)
                }
            },
            bad: SourceFile("Sources/swrunc/A.swift", "let a = await b()"),
            good: SourceFile("Sources/swrunc/A.swift", "case \"async\": flag(.asynchronous)")),
    ]

    /// The module that a line imports.
    private static func imported(_ line: String) -> String? {
        guard line.contains("import ") else { return nil }
        let pattern =
            /^ *(?:(?:public|package|internal|fileprivate|private|@\w+(?:\(\w+\))?) )*import (?:(?:struct|class|enum|protocol|func|var|let|typealias) )?(\w+)/
        return (line.firstMatch(of: pattern)?.1).map(String.init)
    }
}

// MARK: - Unsafe code

extension TidyRule {
    /// Where pointers may be, and why.
    static let unsafePlaces: [(path: String, reason: String)] = [
        ("Sources/CLinux/", "the boundary to C"),
        ("Sources/ContainerKit/System/", "system calls take addresses"),
        ("Sources/ContainerKitAsync/HostCalls.swift", "threads and semaphores of C"),
        ("Sources/ContainerKit/Children/LoadedProgram.swift", "the program at its address"),
        ("Sources/ContainerKit/Children/ProgressPage.swift", "memory shared with the child"),
        ("Sources/ContainerKit/Rootfs/TreeCopy.swift", "memory shared with the child"),
        ("Sources/ContainerKit/Host/CapabilityNames.swift", "libcap's calls"),
        ("Sources/ContainerKit/Seccomp/LibseccompFilter.swift", "libseccomp's calls"),
        ("Sources/swrunc/main.swift", "the command line as C has it"),
    ]

    static let unsafety: [TidyRule] = [
        TidyRule(
            sentence: "pointers are in few places, each with a reason",
            violations: { file in
                guard file.isSource, file.isSwift else { return [] }
                if unsafePlaces.contains(where: { file.path.hasPrefix($0.path) }) { return [] }
                return file.lines(
                    with: "nsafe", matching: /Unsafe\w*(Pointer|Bytes|Raw)|unsafeBitCast/)
            },
            bad: SourceFile("Sources/swrunc/A.swift", "let a: UnsafePointer<Int>"),
            good: SourceFile("Sources/ContainerKit/System/A.swift", "let a: UnsafePointer<Int>")),
        TidyRule(
            sentence: "the kernel is called in System alone, by all but the child",
            violations: { file in
                guard file.isSource, file.isSwift else { return [] }
                if file.path.hasPrefix("Sources/ContainerKit/System/") { return [] }
                return file.lines(with: "raw_system_call", matching: /raw_system_call\(/)
            },
            bad: SourceFile("Sources/ContainerKit/API/A.swift", "raw_system_call(1)"),
            good: SourceFile("Sources/ContainerKit/System/A.swift", "raw_system_call(1)")),
        TidyRule(
            sentence: "every function of the machine is in its section, without instrumentation",
            violations: { file in
                guard file.path == "Sources/InitMachine/Machine.c" else { return [] }
                return file.lines(
                    with: "(", matching: /^(?!MACHINE_|struct )[a-z][^=;]*\(.*[{,]$/)
            },
            bad: SourceFile("Sources/InitMachine/Machine.c", "static void a(int b) {"),
            good: SourceFile("Sources/InitMachine/Machine.c", "MACHINE_INLINE void a(int b) {")),
    ]
}

// MARK: - Numbers of the kernel

extension TidyRule {
    /// Where numbers are written that are not part of the vocabulary, and what they are.
    static let numberPlaces: [(path: String, meaning: String)] = [
        ("Sources/ContainerKit/Cgroups/Controllers/", "bytes of text"),
        ("Sources/ContainerKit/Cgroups/DeviceAccess.swift", "a hash"),
        ("Sources/ContainerKit/Cgroups/DeviceProgram.swift", "instructions of BPF"),
        ("Sources/ContainerKit/System/DeviceInstruction.swift", "instructions of BPF"),
        ("Sources/ContainerKit/Checkpointing/ProtobufMessage.swift", "bits of a varint"),
        ("Sources/ContainerKit/Rootfs/ProgramFile.swift", "the beginning of an ELF file"),
        ("Sources/ContainerKit/Seccomp/", "instructions of BPF, architectures, a hash"),
        ("Sources/ContainerKit/System/Netlink.swift", "numbers of messages"),
        ("Sources/ContainerKit/Systemd/", "bytes of text"),
        ("Sources/InitProgram/HashedPlaces.swift", "a hash"),
        ("Sources/InitProgram/Program.swift", "numbers for a look-up"),
    ]

    static let numbers: [TidyRule] = [
        TidyRule(
            sentence: "a step that is forgotten does not compile: no default over steps",
            violations: { file in
                guard
                    file.path.hasPrefix("Sources/InitProgram/Steps/")
                        || file.path == "Sources/InitProgram/InitStep.swift"
                else { return [] }
                var isOfSteps = false
                return file.lines.indices.filter { index in
                    let line = file.lines[index]
                    if line.contains("switch ") { isOfSteps = line.contains("switch self {") }
                    return isOfSteps && line.hasPrefix("        default:")
                }
            },
            bad: SourceFile(
                "Sources/InitProgram/Steps/A.swift",
                "switch self {\ncase .a: b()\n        default: break"),
            good: SourceFile(
                "Sources/InitProgram/Steps/A.swift",
                "switch (call, errno) {\ncase (\"a\", _): b\n        default: nil")),
        TidyRule(
            sentence: "the kernel's numbers have their names, from KernelVocabulary",
            violations: { file in
                guard file.isSource, file.isSwift,
                    ["InitProgram", "ContainerKit"].contains(file.target),
                    !numberPlaces.contains(where: { file.path.hasPrefix($0.path) })
                else { return [] }
                // Masks, flags and file types; permissions such as 0o755 are clear enough.
                let number = /^(?! *\/\/).*(\b0x[0-9a-fA-F_]+|\b0o[0-7_]{5,})/
                let errno = /Errno\(rawValue: *-?\d|ignoring: \[ *-?\d|result == -\d/
                let named = /\.named\(-?\d/
                return file.lines(with: "0", matching: number)
                    + file.lines(with: "=", matching: errno)
                    + file.lines(with: "ignoring:", matching: errno)
                    + file.lines(with: "Errno(", matching: errno)
                    + file.lines(with: ".named(", matching: named)
            },
            bad: SourceFile(
                "Sources/ContainerKit/API/A.swift", "guard status.stx_mode & 0xf000 == 0x4000"),
            good: SourceFile(
                "Sources/InitProgram/A.swift", "make(FileMode(.regular, 0o644))  // S_IFREG")),
    ]
}

// MARK: - Texts

extension TidyRule {
    private static let license = "SPDX-License-Identifier: Apache-2.0"
    // Written in pieces, so that this file keeps its own rules.
    private static let later = "TO" + "DO"

    static let texts: [TidyRule] = [
        TidyRule(
            sentence: "a file begins with its license",
            violations: { file in
                guard file.isSwift || file.isC || file.name == "Makefile" else { return [] }
                let first = file.lines.first { line in
                    !line.hasPrefix("// swift-tools-version") && !line.hasPrefix("#!")
                }
                return first == "// \(license)" || first == "# \(license)" ? [] : [0]
            },
            bad: SourceFile("Sources/swrunc/A.swift", "\n// \(license)\n"),
            good: SourceFile("Package.swift", "// swift-tools-version: 6.2\n// \(license)\n")),
        TidyRule(
            sentence: "what is left to do has an issue",
            violations: { file in
                guard file.isSwift || file.isC || file.name == "Makefile" else { return [] }
                return file.lines.indices.filter { index in
                    let line = file.lines[index]
                    if line.contains("FIX" + "ME") { return true }
                    return line.contains(later) && line.firstMatch(of: /\(#[0-9]+\)/) == nil
                }
            },
            bad: SourceFile("Sources/swrunc/A.swift", "// \(later): faster"),
            good: SourceFile("Sources/swrunc/A.swift", "// \(later)(#12): faster")),
        TidyRule(
            sentence: "no path of one machine stands in the project",
            violations: { file in
                let pattern = /(^|[^A-Za-z0-9_.})*~\/-])\/(work|root|home\/[a-z]+)\//
                return ["work", "root", "home"].flatMap {
                    file.lines(with: "/\($0)/", matching: pattern)
                }
            },
            bad: SourceFile("README.md", "see " + "/" + "work/main/README.md"),
            good: SourceFile("README.md", "read /proc/self/" + "root/etc and /a/" + "work/b")),
    ]
}

// MARK: - Names

extension TidyRule {
    static let names: [TidyRule] = [
        TidyRule(
            sentence: "names say what a thing is, not that it manages, helps or handles",
            violations: { file in
                guard file.isSwift else { return [] }
                let pattern =
                    /\b(?:class|struct|enum|protocol|actor|typealias|func) +(\w*(?:Manager|Helper|Util|Utils|Utilities|Handler|Info)\b|do[A-Z]\w*)/
                let words = ["Manager", "Helper", "Util", "Handler", "Info", " do"]
                var found = words.flatMap { word in
                    file.lines(with: word, matching: pattern).filter { index in
                        let name = file.lines[index].firstMatch(of: pattern)?.1
                        return name?.hasSuffix("LogHandler") == false
                    }
                }
                let fileName = /(Manager|Helper|Util|Handler|Info)s?(\+\w+)?\.swift$/
                if file.name.firstMatch(of: fileName) != nil,
                    !file.name.hasSuffix("LogHandler.swift")
                {
                    found.append(0)
                }
                return found
            },
            bad: SourceFile("Sources/swrunc/A.swift", "    final class Bundle" + "Manager {"),
            good: SourceFile("Sources/swrunc/A.swift", "struct JSONLogHandler: LogHandler {")),
        TidyRule(
            sentence: "a test is named by the sentence that it proves",
            violations: { file in
                guard file.isTest, file.isSwift else { return [] }
                return file.lines(with: "@Test", matching: /^ *@Test\b/).filter { index in
                    let after = file.lines[index...].prefix(2).joined(separator: " ")
                    return after.firstMatch(of: /@Test\( *"[^" ]+( [^" ]*){2,}/) == nil
                }
            },
            bad: SourceFile("Tests/TidyTests/A.swift", "@Test func works() {"),
            good: SourceFile("Tests/TidyTests/A.swift", "@Test(\n    \"one and one is two\",")),
    ]
}
