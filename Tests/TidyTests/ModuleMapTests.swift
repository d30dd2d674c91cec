// SPDX-License-Identifier: Apache-2.0

import Testing

/// The map at the head of a module's main file: it lists the folder's files with their contents.
struct ModuleMap: Sendable, CustomTestStringConvertible {
    var folder: String
    /// The file that contains the map; it need not name itself.
    var head: String

    var testDescription: String { folder }

    static let all: [ModuleMap] = [
        ModuleMap(folder: "Sources/ContainerKit", head: "ContainerKit.swift"),
        ModuleMap(folder: "Sources/ContainerKit/API", head: "Container.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Cgroups", head: "CgroupHierarchies.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Children", head: "ChildStart.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Foreground", head: "ForegroundRelay.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Hooks", head: "HookRun.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Host", head: "SecurityModules.swift"),
        ModuleMap(folder: "Sources/ContainerKit/IntelRdt", head: "ResctrlGroup.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Checkpointing", head: "CriuSession.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Launching", head: "Launcher.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Launching/Steps", head: "ParentStep.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Model", head: "Statistics.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Network", head: "NetDevices.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Planning", head: "Launch.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Rootfs", head: "MissingMountPoint.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Seccomp", head: "SeccompFilter.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Storage", head: "StateDirectory.swift"),
        ModuleMap(folder: "Sources/ContainerKit/System", head: "SystemCalls.swift"),
        ModuleMap(folder: "Sources/ContainerKit/Systemd", head: "SystemdClient.swift"),
        ModuleMap(folder: "Sources/ContainerKit/UserNamespaces", head: "IDMapFiles.swift"),
        ModuleMap(folder: "Sources/ContainerKitAsync", head: "ContainerKitAsync.swift"),
        ModuleMap(folder: "Sources/ContainerKitCodable", head: "ContainerKitCodable.swift"),
        ModuleMap(
            folder: "Sources/ContainerKitInspection", head: "ContainerKitInspection.swift"),
        ModuleMap(folder: "Sources/InitMachine", head: "include/InitMachine.h"),
        ModuleMap(folder: "Sources/InitProgram", head: "InitProgram.swift"),
        ModuleMap(folder: "Sources/InitProgram/Steps", head: "ChildStep.swift"),
        ModuleMap(folder: "Sources/KernelVocabulary", head: "KernelWord.swift"),
        ModuleMap(folder: "Sources/RuntimeSpec", head: "RuntimeSpec.swift"),
        ModuleMap(folder: "Sources/swrunc", head: "main.swift"),
        ModuleMap(folder: "Sources/swrunc/Top", head: "TopLoop.swift"),
    ]

    /// The names in the first column of a head comment: `Name`, `Name+*` for several, `Folder/`, `Name.c`.
    static func names(in lines: [String]) -> [String] {
        let name = /[A-Z][A-Za-z0-9+]*(?:\*|\/|\.[ch])?/
        let entry = /^\/\/   ([A-Z][A-Za-z0-9+]*(?:\*|\/|\.[ch])?(?:, [A-Z][A-Za-z0-9+]*\*?)*)[ ]/
        let head = lines.prefix { $0.isEmpty || ($0.hasPrefix("//") && !$0.hasPrefix("///")) }
        return head.flatMap { line in
            line.firstMatch(of: entry).map { $0.1.matches(of: name).map { String($0.output) } }
                ?? []
        }
    }

    /// The names that a map must contain: the folder's files, for Swift without the extension, and
    /// subfolders.
    func contents(of paths: [String]) -> Set<String> {
        let inside = paths.filter { $0.hasPrefix(folder + "/") && $0 != "\(folder)/\(head)" }
        return Set(
            inside.compactMap { path in
                let parts = path.dropFirst(folder.count + 1).split(separator: "/")
                guard parts.count == 1 else {
                    let isOther = parts[0] == "include" || parts[0].hasSuffix(".docc")
                    return isOther ? nil : "\(parts[0])/"
                }
                if parts[0].hasSuffix(".swift") { return String(parts[0].dropLast(6)) }
                return parts[0].hasSuffix(".c") || parts[0].hasSuffix(".h") ? String(parts[0]) : nil
            })
    }

    /// The names that are missing in the map, and those that do not exist.
    func faults(_ lines: [String], paths: [String]) -> [String] {
        let names = Self.names(in: lines)
        let contents = contents(of: paths)
        func covers(_ name: String, _ file: String) -> Bool {
            name.hasSuffix("*") ? file.hasPrefix(name.dropLast()) : name == file
        }
        let own = String(head.split(separator: ".")[0])
        let missing = contents.filter { file in !names.contains { covers($0, file) } }
        let gone = names.filter { name in
            name != own && !contents.contains { covers(name, $0) }
        }
        return missing.sorted().map { "no line for \($0)" } + gone.map { "\($0) is not there" }
    }
}

@Suite("Module maps")
struct ModuleMapTests {
    @Test("a module map lists exactly the files of its folder", arguments: ModuleMap.all)
    func mapIsComplete(_ map: ModuleMap) throws {
        let head = try #require(
            Project.files.first { $0.path == "\(map.folder)/\(map.head)" })
        #expect(map.faults(head.lines, paths: Project.files.map(\.path)) == [])
    }

    @Test("a module map's missing and superfluous lines are found")
    func faultsAreFound() {
        let map = ModuleMap(folder: "Sources/A", head: "A.swift")
        let lines = [
            "// SPDX", "", "// A: a map.", "//", "//   A, B   two files", "//   C+*  several",
            "//   D/  a folder", "", "/// Not any more.", "//   F  a line of code's",
        ]
        let paths = ["A", "B", "C+1", "C+2", "D/E"].map { "Sources/A/\($0).swift" }
        #expect(map.faults(lines, paths: paths) == [])
        #expect(
            map.faults(lines, paths: ["Sources/A/A.swift", "Sources/A/F.swift"])
                == ["no line for F", "B is not there", "C+* is not there", "D/ is not there"])
    }

    @Test("every folder of ContainerKit has a module map")
    func roomsHaveMaps() {
        let rooms = ModuleMap(folder: "Sources/ContainerKit", head: "ContainerKit.swift")
            .contents(of: Project.files.map(\.path)).filter { $0.hasSuffix("/") }
        let mapped = Set(ModuleMap.all.map { $0.folder + "/" })
        #expect(rooms.filter { !mapped.contains("Sources/ContainerKit/\($0)") } == [])
    }
}
