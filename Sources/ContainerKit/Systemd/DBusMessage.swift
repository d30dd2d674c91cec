// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// One message of D-Bus.
///
/// Source: D-Bus specification, Message Protocol.
struct DBusMessage: Equatable, Sendable {
    /// The type of a message.
    enum Kind: UInt8, Sendable {
        case methodCall = 1
        case methodReturn
        case error
        case signal
    }

    var kind: Kind
    /// The sender's serial number of the message.
    var serial: UInt32 = 0
    /// The serial number of the message that this one answers.
    var replySerial: UInt32?
    var path: String?
    var interface: String?
    var member: String?
    var errorName: String?
    var destination: String?
    /// The types of the values in the body.
    var signature: [UInt8] = []
    /// The encoded values; they are decoded on demand, since most signals are never read.
    private(set) var body: [UInt8] = []
    private var isLittleEndian = true

    /// The length of the header's fixed part.
    static let prefixLength = 16
    /// A limit above any answer of systemd; the protocol allows 128 MiB.
    static let longestBytes = 8 << 20

    /// A method call.
    init(
        calling member: String, of interface: String, at path: String,
        destination: String? = nil, _ arguments: [DBusValue] = []
    ) {
        kind = .methodCall
        self.path = path
        self.interface = interface
        self.member = member
        self.destination = destination
        set(arguments)
    }

    /// A message of another type without an addressee.
    init(_ kind: Kind, _ arguments: [DBusValue] = []) {
        self.kind = kind
        set(arguments)
    }

    private mutating func set(_ arguments: [DBusValue]) {
        var writer = DBusWriter()
        for argument in arguments { writer.append(argument) }
        body = writer.bytes
        signature = arguments.flatMap { Array($0.signature.utf8) }
    }

    /// Decodes the values of the body.
    func arguments() throws(DBusFormatError) -> [DBusValue] {
        var reader = DBusReader(body[...], isLittleEndian: isLittleEndian)
        return try reader.values(signature)
    }

    // MARK: - On the wire

    private enum Field {
        static let path: UInt8 = 1
        static let interface: UInt8 = 2
        static let member: UInt8 = 3
        static let errorName: UInt8 = 4
        static let replySerial: UInt8 = 5
        static let destination: UInt8 = 6
        static let signature: UInt8 = 8
    }

    /// The message in its wire format.
    var encoded: [UInt8] {
        var fields: [DBusValue] = []
        func add(_ code: UInt8, _ value: DBusValue?) {
            if let value { fields.append(.structure([.byte(code), .variant(value)])) }
        }
        add(Field.path, path.map(DBusValue.objectPath))
        add(Field.interface, interface.map(DBusValue.string))
        add(Field.member, member.map(DBusValue.string))
        add(Field.errorName, errorName.map(DBusValue.string))
        add(Field.replySerial, replySerial.map(DBusValue.uint32))
        add(Field.destination, destination.map(DBusValue.string))
        if !signature.isEmpty {
            add(Field.signature, .signature(String(decoding: signature, as: UTF8.self)))
        }
        var writer = DBusWriter()
        // Byte order, type, no flags, protocol version 1.
        for byte in [UInt8(ascii: "l"), kind.rawValue, 0, 1] { writer.append(.byte(byte)) }
        writer.append(.uint32(UInt32(body.count)))
        writer.append(.uint32(serial))
        writer.append(.array(of: "(yv)", fields))
        writer.align(to: 8)
        return writer.bytes + body
    }

    /// The length of the message that begins with these bytes; `prefixLength` of them must be
    /// there.
    static func length(beginning prefix: ArraySlice<UInt8>) throws(DBusFormatError) -> Int {
        var reader = DBusReader(prefix, isLittleEndian: try isLittleEndian(prefix))
        let head = try reader.values(Array("yyyyuuu".utf8))
        guard case .uint32(let body) = head[4], case .uint32(let fields) = head[6] else {
            throw DBusFormatError("a message has no header")
        }
        guard head[3] == .byte(1) else { throw DBusFormatError("unknown version of the protocol") }
        let header = (prefixLength + Int(fields) + 7) / 8 * 8
        guard header + Int(body) <= longestBytes else {
            throw DBusFormatError("a message of \(header + Int(body)) bytes is too long")
        }
        return header + Int(body)
    }

    private static func isLittleEndian(_ bytes: ArraySlice<UInt8>) throws(DBusFormatError) -> Bool {
        switch bytes.first {
        case UInt8(ascii: "l"): return true
        case UInt8(ascii: "B"): return false
        default: throw DBusFormatError("a message has no byte order")
        }
    }

    /// Decodes one whole message; nil for a type that must be ignored.
    init?(decoding bytes: ArraySlice<UInt8>) throws(DBusFormatError) {
        isLittleEndian = try Self.isLittleEndian(bytes)
        var reader = DBusReader(bytes, isLittleEndian: isLittleEndian)
        let head = try reader.values(Array("yyyyuua(yv)".utf8))
        try reader.align(to: 8)
        guard case .byte(let kind) = head[1], case .uint32(let length) = head[4],
            case .uint32(let serial) = head[5], case .array(_, let fields) = head[6]
        else { throw DBusFormatError("a message has no header") }
        guard reader.remaining == Int(length) else {
            throw DBusFormatError("a message's body is not as long as it says")
        }
        guard let kind = Kind(rawValue: kind) else { return nil }
        self.kind = kind
        self.serial = serial
        body = Array(bytes.suffix(reader.remaining))
        for field in fields {
            guard case .structure(let members) = field, case .byte(let code) = members[0],
                case .variant(let value) = members[1]
            else { continue }
            try set(code, value)
        }
    }

    private mutating func set(_ code: UInt8, _ value: DBusValue) throws(DBusFormatError) {
        switch (code, value) {
        case (Field.path, .objectPath(let text)): path = text
        case (Field.interface, .string(let text)): interface = text
        case (Field.member, .string(let text)): member = text
        case (Field.errorName, .string(let text)): errorName = text
        case (Field.replySerial, .uint32(let number)): replySerial = number
        case (Field.destination, .string(let text)): destination = text
        case (Field.signature, .signature(let text)): signature = Array(text.utf8)
        case (1...6, _), (Field.signature, _):
            throw DBusFormatError("header field \(code) has the wrong type")
        default: break
        }
    }
}
#endif
