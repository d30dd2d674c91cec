// SPDX-License-Identifier: Apache-2.0

import Testing

/// A folder of ContainerKit, and the other folders that it may use.
struct Room: Sendable {
    var name: String
    var uses: [String]

    /// All rooms, from the lowest layer up: a room uses only rooms before it in this list.
    ///
    /// Texts, the config's model and the plan's steps are separate targets, which every room may
    /// use.
    static let all: [Room] = [
        Room(name: "System", uses: []),
        Room(name: "Model", uses: ["System"]),
        Room(name: "Network", uses: ["System", "Model"]),
        Room(name: "Systemd", uses: ["System", "Model"]),
        Room(name: "Seccomp", uses: ["System", "Model"]),
        Room(name: "Cgroups", uses: ["System", "Model", "Systemd"]),
        Room(name: "Children", uses: ["System", "Model"]),
        Room(name: "Storage", uses: ["System", "Model", "Cgroups", "Children"]),
        Room(name: "IntelRdt", uses: ["System", "Model", "Storage"]),
        Room(name: "Foreground", uses: ["System", "Model", "Storage"]),
        Room(name: "Hooks", uses: ["System", "Model", "Children", "Storage"]),
        Room(name: "UserNamespaces", uses: ["System", "Model", "Children", "Hooks"]),
        Room(name: "Rootfs", uses: ["System", "Model", "Cgroups", "Children", "UserNamespaces"]),
        Room(
            name: "Launching",
            uses: [
                "System", "Model", "Network", "Systemd", "Seccomp", "Cgroups", "Children",
                "Storage", "IntelRdt", "Foreground", "Hooks", "UserNamespaces", "Rootfs",
            ]),
        // Pure: from lower rooms it takes only values (see `planningIsPure`).
        Room(
            name: "Planning",
            uses: ["Model", "Systemd", "Seccomp", "Cgroups", "IntelRdt", "Launching"]),
        Room(name: "Host", uses: ["System", "Model", "Planning"]),
        Room(
            name: "Checkpointing",
            uses: [
                "System", "Model", "Cgroups", "Children", "Storage", "Foreground", "Hooks",
                "UserNamespaces", "Rootfs", "Launching", "Planning", "Host",
            ]),
        Room(
            name: "API",
            uses: [
                "System", "Model", "Network", "Systemd", "Seccomp", "Cgroups", "Children",
                "Storage", "IntelRdt", "Foreground", "Hooks", "UserNamespaces", "Rootfs",
                "Launching", "Planning", "Host", "Checkpointing",
            ]),
    ]

    /// Uses that violate the table for now.
    static let knownUses: [(room: String, name: String, reason: String)] = []
}

/// The top-level declarations in ContainerKit's files, and their uses.
///
/// A symbol table by text search: types, functions and variables that are declared at the beginning
/// of a line and are not private. Members and extensions are ignored, as is a name that two rooms
/// declare.
struct SymbolTable {
    /// The kind of a name, as far as it matters for finding uses.
    enum Kind { case type, function, variable }

    struct Use: Hashable {
        var room: String
        var name: String
        var file: String
    }

    private static let folder = "Sources/ContainerKit/"
    private(set) var declared: [String: (room: String, kind: Kind)] = [:]
    private(set) var uses: Set<Use> = []

    static func room(of file: SourceFile) -> String? {
        guard file.isSwift, file.path.hasPrefix(folder) else { return nil }
        let parts = file.path.dropFirst(folder.count).split(separator: "/")
        return parts.count > 1 ? String(parts[0]) : nil
    }

    init(_ files: [SourceFile]) {
        var ambiguous: Set<String> = []
        let inRooms = files.compactMap { file in Self.room(of: file).map { (file, $0) } }
        for (file, room) in inRooms {
            for line in file.lines {
                guard let (name, kind) = Self.declaration(line) else { continue }
                if let other = declared[name], other.room != room { ambiguous.insert(name) }
                declared[name] = (room, kind)
            }
        }
        for name in ambiguous { declared[name] = nil }
        for (file, room) in inRooms {
            for line in file.lines { note(line, room, file.path) }
        }
    }

    private static func declaration(_ line: String) -> (String, Kind)? {
        guard let first = line.first, first.isLetter || first == "@", !line.hasPrefix("private"),
            !line.hasPrefix("fileprivate"), !line.hasPrefix("extension"), !line.hasPrefix("import")
        else { return nil }
        let pattern =
            /^(?:@\w+(?:\([^)]*\))? )*(?:(?:public|package|internal|final|indirect|nonisolated) )*(struct|class|enum|protocol|typealias|func|let|var) `?(\w+)/
        guard let match = line.firstMatch(of: pattern) else { return nil }
        let kind: Kind =
            switch match.1 {
            case "func": .function
            case "let", "var": .variable
            default: .type
            }
        return (String(match.2), kind)
    }

    /// The names in a line's code: not in its comment nor in string literals, but in their
    /// interpolations.
    private mutating func note(_ line: String, _ room: String, _ file: String) {
        for word in Self.words(in: line) {
            guard let (owner, kind) = declared[word.name], owner != room, !word.isMember else {
                continue
            }
            let isUse =
                switch kind {
                case .type: true
                case .function: word.next == "("
                case .variable: word.next != ":" && word.next != "("
                }
            if isUse { uses.insert(Use(room: room, name: word.name, file: file)) }
        }
    }

    struct Word {
        var name: String
        /// Whether a dot precedes it.
        var isMember: Bool
        /// The character directly after it.
        var next: Character?
    }

    static func words(in line: String) -> [Word] {
        var words: [Word] = []
        var word = ""
        var before: Character?
        var last: Character?
        // For each string literal that contains code, the depth of parentheses.
        var depths: [Int] = []
        var isText = false
        let characters = Array(line)
        var index = 0
        func isPartOfWord(_ c: Character) -> Bool { c.isLetter || c.isNumber || c == "_" }
        while index < characters.count {
            let c = characters[index]
            let next = index + 1 < characters.count ? characters[index + 1] : nil
            if isText {
                if c == "\\", next == "(" {
                    depths.append(0)
                    isText = false
                    index += 1
                } else if c == "\\" {
                    index += 1
                } else if c == "\"" {
                    isText = false
                }
            } else if c == "/", next == "/" {
                break
            } else if isPartOfWord(c) {
                if word.isEmpty { before = last }
                word.append(c)
                if next.map(isPartOfWord) != true {
                    words.append(Word(name: word, isMember: before == ".", next: next))
                    word = ""
                }
            } else if c == "\"" {
                isText = true
            } else if c == "(", !depths.isEmpty {
                depths[depths.count - 1] += 1
            } else if c == ")", let depth = depths.last {
                if depth == 0 {
                    depths.removeLast()
                    isText = true
                } else {
                    depths[depths.count - 1] -= 1
                }
            }
            last = c
            index += 1
        }
        return words
    }
}

@Suite("Dependencies between the folders of ContainerKit")
struct RoomTests {
    private static let table = SymbolTable(Project.files)

    private func forbidden(_ table: SymbolTable) -> [String] {
        let allowed = Dictionary(uniqueKeysWithValues: Room.all.map { ($0.name, Set($0.uses)) })
        return table.uses.compactMap { use in
            guard let owner = table.declared[use.name]?.room,
                allowed[use.room]?.contains(owner) != true
            else { return nil }
            return "\(use.room) uses \(use.name) of \(owner): \(use.file)"
        }.sorted()
    }

    @Test("a folder of ContainerKit uses only the folders that the table allows")
    func wallsHold() {
        let known = Room.knownUses.map { "\($0.room) uses \($0.name) of " }
        let found = forbidden(Self.table).filter { use in
            !known.contains { use.hasPrefix($0) }
        }
        #expect(found == [])
    }

    @Test("a listed exception for a folder is removed once it is no longer needed")
    func knownUsesAreReal() {
        let found = forbidden(Self.table)
        for known in Room.knownUses {
            #expect(
                found.contains { $0.hasPrefix("\(known.room) uses \(known.name) of ") },
                "\(known.room) \(known.name)")
        }
    }

    @Test("every folder of ContainerKit is in the table, and uses only folders before it")
    func tableIsInOrder() {
        let rooms = Set(Project.files.compactMap { SymbolTable.room(of: $0) })
        #expect(rooms == Set(Room.all.map(\.name)))
        for (index, room) in Room.all.enumerated() {
            let before = Set(Room.all[..<index].map(\.name))
            #expect(before.isSuperset(of: room.uses), "\(room.name)")
        }
    }

    @Test("planning calls no function of a folder that touches the host")
    func planningIsPure() {
        let calls = Self.table.uses.filter { use in
            use.room == "Planning" && Self.table.declared[use.name]?.kind != .type
        }
        #expect(calls == [])
        let throwing = Project.files.filter {
            SymbolTable.room(of: $0) == "Planning"
                && $0.lines.contains { $0.contains("SystemCallError") }
        }
        #expect(throwing.map(\.path) == [], "who makes calls throws their errors")
    }

    @Test("uses are found by declaration, not in comments, texts, members or ambiguous names")
    func usesAreFound() {
        let folder = "Sources/ContainerKit/"
        let table = SymbolTable([
            SourceFile(
                folder + "A/A.swift",
                "struct Alpha {\n    var inner = 0\n}\n\nfunc open(_ a: Int) {}\nlet most = 1\n"
                    + "private struct Hidden {}\nstruct Twice {}\n@inline(__always) func fast() {}"),
            SourceFile(folder + "B/B.swift", "enum Twice {}\nextension Alpha {}"),
            SourceFile(
                folder + "C/C.swift",
                "// Alpha\nlet text = \"Alpha \\(most + f(\"open()\"))\"\nx.open(1)\nopen: 2\nHidden\nTwice\n"
                    + "let y = fast()"),
        ])
        let uses = table.uses.map { "\($0.room) \($0.name)" }.sorted()
        #expect(uses == ["B Alpha", "C fast", "C most"])
    }
}
