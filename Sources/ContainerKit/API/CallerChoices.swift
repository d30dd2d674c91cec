// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// What the caller of create or run chose and had, as far as the plan depends on it.
///
/// The record keeps it, so that the plan can be made again for who asks where init is.
struct CallerChoices: Sendable {
    /// Whether it was `run`.
    var startsAtOnce = false
    /// Whether the plan depended on what the runtime may do, or took all rights for granted.
    var looksAtRights = false
    var hasUnbindableSources = false
    /// Those that the plan depends on; the rest is as by default.
    var options = LaunchOptions()
    var replacedStreams: [Int] = []
    var streams: [StandardStream] = []

    init(_ options: LaunchOptions, _ facts: CreateFacts, looksAtRights: Bool) {
        startsAtOnce = facts.startsAtOnce
        self.looksAtRights = looksAtRights
        hasUnbindableSources = facts.hasUnbindableSources
        self.options = options
        replacedStreams = facts.caller.replacedStreams
        streams = facts.caller.streams
    }

    /// Reads what a record has; nil when it is not that.
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

    /// Shows every member to `fields`; most are as by default, and left out then.
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
        fields.number(
            "preserved", &options.preservedDescriptorCount, isOptional: true)
        fields.value("terminal", &options.terminal, TerminalOutlet.init(record:), \.record)
        fields.value("pidFile", &options.pidFile, \.path, { .string($0.text) })
        fields.value("pidfdSocket", &options.pidfdSocket, \.path, { .string($0.text) })
        fields.value("notifySocket", &options.notifySocket, \.text, { .string($0) })
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

    /// The path of the socket, or `true`.
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

    /// The numbers as texts: no limit at all is more than the record's numbers hold.
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
