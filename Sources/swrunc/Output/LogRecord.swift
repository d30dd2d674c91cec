// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging

/// One entry of the log, in the two formats that engines read, which are those of logrus.
struct LogRecord {
    /// The format of records.
    enum Format: String, Sendable {
        /// `time="..." level=error msg="..." key=value`.
        case text
        /// One JSON object per line; engines read `level`, `msg` and `time`.
        case json
    }

    let level: Logger.Level
    let message: String
    /// The time as in RFC 3339.
    let time: String
    /// Further fields for programs, in order.
    var fields: [(key: String, value: JSONValue)] = []

    /// The record as one line with a newline.
    func line(_ format: Format) -> String {
        switch format {
        case .text: textLine
        case .json: jsonLine
        }
    }

    private var textLine: String {
        var line = "time=\"\(time)\" level=\(levelName) msg=\(Self.quoted(message))"
        for field in fields {
            line += " \(field.key)=\(Self.quoted(Self.text(of: field.value)))"
        }
        return line + "\n"
    }

    private var jsonLine: String {
        var object: JSONObject = [
            "level": .string(levelName), "msg": .string(message), "time": .string(time),
        ]
        for field in fields {
            // Our own fields must not replace one of the three that engines read.
            let isTaken = object[field.key] != nil
            object.append(isTaken ? "fields.\(field.key)" : field.key, field.value)
        }
        return String(decoding: JSONValue.object(object).encoded(), as: UTF8.self) + "\n"
    }

    private var levelName: String {
        switch level {
        case .trace: "trace"
        case .debug: "debug"
        case .info, .notice: "info"
        case .warning: "warning"
        case .error, .critical: "error"
        }
    }

    private static func text(of value: JSONValue) -> String {
        if case .string(let text) = value { return text }
        return String(decoding: value.encoded(), as: UTF8.self)
    }

    /// The text itself if it needs no quotes, otherwise quoted with Go's escapes.
    private static func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default:
                "-._/@^+".utf8.contains(byte)
            }
        }
        if isPlain, !text.isEmpty { return text }
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where Printable.isControl(scalar): result += Printable.escaped(scalar)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
