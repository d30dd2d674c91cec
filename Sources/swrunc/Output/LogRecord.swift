// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging

/// One entry of the log and the two forms that engines read, which are logrus's.
struct LogRecord {
    /// How records are written.
    enum Format: String, Sendable {
        /// `time="..." level=error msg="..." key=value`.
        case text
        /// One JSON object a line; engines read `level`, `msg` and `time`.
        case json
    }

    let level: Logger.Level
    let message: String
    /// RFC 3339 text.
    let time: String
    /// What else a program may want to read, in order.
    var fields: [(key: String, value: JSONValue)] = []

    /// The record as one line with its newline.
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
            // A key of ours must not hide one of the three that engines read.
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

    /// The text itself if it is one plain word, else in quotes with Go's escapes.
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
