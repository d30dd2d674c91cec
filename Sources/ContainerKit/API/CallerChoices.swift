// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// The choices and streams of the caller of create or run, as far as the plan depends on them.
///
/// The record keeps them, so that the plan can be made again to show how far init has come.
struct CallerChoices: Sendable {
    /// Whether the command was `run`.
    var startsAtOnce = false
    /// Whether the plan checked the runtime's rights, instead of assuming all of them.
    var looksAtRights = false
    var hasUnbindableSources = false
    /// The options that the plan depends on; all others have their default values.
    var options = LaunchOptions()
    /// The cgroup that the caller had made.
    var adoptedCgroup: CgroupLayout?
    var replacedStreams: [Int] = []
    var streams: [StandardStream] = []

    init(_ options: LaunchOptions, _ facts: CreateFacts, looksAtRights: Bool) {
        startsAtOnce = facts.startsAtOnce
        self.looksAtRights = looksAtRights
        hasUnbindableSources = facts.hasUnbindableSources
        self.options = options
        adoptedCgroup = facts.host.adoptedCgroup
        replacedStreams = facts.caller.replacedStreams
        streams = facts.caller.streams
    }

    /// Decodes the value of a record; nil if it has another form.
    init?(_ value: JSONValue) {
        guard case .object(let object) = value else { return nil }
        var fields = RecordFields(of: object)
        visit(&fields)
        guard fields.areWhole else { return nil }
    }

    var json: JSONValue {
        var copy = self
        var fields = RecordFields()
        copy.visit(&fields)
        return fields.written
    }

    /// Passes every member to `fields`; members with default values are not written.
    private mutating func visit(_ fields: inout RecordFields) {
        fields.flag("run", &startsAtOnce, isWritten: startsAtOnce)
        fields.flag("looksAtRights", &looksAtRights, isWritten: looksAtRights)
        fields.flag("unbindable", &hasUnbindableSources, isWritten: hasUnbindableSources)
        fields.flag("noPivot", &options.movesRoot, isWritten: options.movesRoot)
        fields.flag(
            "keepsKeyring", &options.keepsSessionKeyring, isWritten: options.keepsSessionKeyring)
        fields.value("rootless", &options.rootless, \.truth, { .bool($0) })
        var usesSystemd = options.cgroupDriver == .systemd
        fields.flag("systemd", &usesSystemd, isWritten: usesSystemd)
        options.cgroupDriver = usesSystemd ? .systemd : .cgroupfs
        fields.flag(
            "keepsAccounting", &options.keepsAccounting, isWritten: options.keepsAccounting)
        fields.number(
            "preserved", &options.preservedDescriptorCount, isOptional: true)
        fields.value("terminal", &options.terminal, TerminalOutlet.init(record:), \.record)
        fields.value("pidFile", &options.pidFile, \.path, { .string($0.text) })
        fields.value("pidfdSocket", &options.pidfdSocket, \.path, { .string($0.text) })
        fields.value("notifySocket", &options.notifySocket, \.text, { .string($0) })
        fields.value("cgroup", &adoptedCgroup, CgroupLayout.init(record:), \.record)
        fields.list("limits", &options.limits, Rlimit.init(record:), \.record)
        fields.list("replacedStreams", &replacedStreams, \.index, { .integer(Int64($0)) })
        fields.list("streams", &streams, StandardStream.init(record:), \.record)
    }
}

extension JSONValue {
    fileprivate var truth: Bool? {
        if case .bool(let truth) = self { truth } else { nil }
    }

    fileprivate var path: FilePath? { text.map { FilePath($0) } }
}

extension TerminalOutlet {
    fileprivate init?(record value: JSONValue) {
        switch value {
        case .string(let path): self = .consoleSocket(FilePath(path))
        case .bool(true): self = .master
        default: return nil
        }
    }

    /// The path of the socket, or `true` for a terminal without one.
    fileprivate var record: JSONValue {
        switch self {
        case .consoleSocket(let path): .string(path.text)
        case .master: .bool(true)
        }
    }
}

extension Rlimit {
    fileprivate init?(record value: JSONValue) {
        guard case .object(let object) = value, let type = object["type"]?.text,
            let hard = object["hard"]?.text.flatMap({ UInt64($0) }),
            let soft = object["soft"]?.text.flatMap({ UInt64($0) })
        else { return nil }
        self.init(type: type, hard: hard, soft: soft)
    }

    /// The numbers are written as texts: an unlimited value exceeds the record's range of numbers.
    fileprivate var record: JSONValue {
        .object(["type": .string(type), "hard": .string("\(hard)"), "soft": .string("\(soft)")])
    }
}

extension StandardStream {
    fileprivate init?(record value: JSONValue) {
        guard case .object(let object) = value, let number = object["number"]?.index,
            let owner = object["owner"]?.index.flatMap({ UInt32(exactly: $0) }),
            let kind = object["kind"]?.text
        else { return nil }
        switch kind {
        case "pipe": self.init(number: number, kind: .pipe, owner: owner)
        case "socket": self.init(number: number, kind: .socket, owner: owner)
        case "terminal": self.init(number: number, kind: .terminal, owner: owner)
        default:
            guard let flags = object["flags"]?.index,
                let device = StatelessDevice.allCases.first(where: { $0.name == kind })
            else { return nil }
            self.init(
                number: number, kind: .device(device, flags: OpenFlags(rawValue: flags)),
                owner: owner)
        }
    }

    fileprivate var record: JSONValue {
        var object: JSONObject = [
            "number": .integer(Int64(number)), "owner": .integer(Int64(owner)),
        ]
        switch kind {
        case .pipe: object.append("kind", .string("pipe"))
        case .socket: object.append("kind", .string("socket"))
        case .terminal: object.append("kind", .string("terminal"))
        case .device(let device, let flags):
            object.append("kind", .string(device.name))
            object.append("flags", .integer(Int64(flags.rawValue)))
        }
        return .object(object)
    }
}
#endif
