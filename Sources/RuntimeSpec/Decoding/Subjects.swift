// SPDX-License-Identifier: Apache-2.0

// An index alone helps little in a config with forty mounts, so an error also names the list
// element as the config itself does.

/// The member by which people recognize an element of this list.
private func namingKey(ofList list: String) -> String? {
    switch list {
    case "mounts": "destination"
    case "devices", "prestart", "createRuntime", "createContainer", "startContainer", "poststart",
        "poststop":
        "path"
    case "namespaces", "rlimits": "type"
    case "hugepageLimits": "pageSize"
    default: nil
    }
}

extension JSONValue {
    /// The name of the list element that `path` leads into: the destination of a mount, the path of
    /// a device or hook.
    ///
    /// This document belongs at `start` in config.json.
    func subject(at path: JSONPath, in start: JSONPath = .root) -> String? {
        let text = path.description.utf8
        let prefix = start.description.utf8
        guard text.starts(with: prefix),
            let open = text.firstIndex(of: UInt8(ascii: "[")),
            let close = text[open...].firstIndex(of: UInt8(ascii: "]")),
            let index = Int(String(text[text.index(after: open)..<close]) ?? "")
        else { return nil }
        let keys = String(text.dropFirst(prefix.count)[..<open]) ?? ""
        var value = self
        var list = ""
        for key in keys.split(separator: ".") {
            guard case .object(let object) = value, let member = object[String(key)] else {
                return nil
            }
            value = member
            list = String(key)
        }
        guard let key = namingKey(ofList: list), case .array(let elements) = value,
            elements.indices.contains(index), case .object(let element) = elements[index],
            case .string(let name)? = element[key], !name.isEmpty
        else { return nil }
        return name
    }
}

extension SpecError {
    /// This error with the name of the list element it concerns, taken from `document`.
    func naming(_ document: JSONValue, in start: JSONPath = .root) -> SpecError {
        guard subject == nil, let name = document.subject(at: path, in: start) else { return self }
        return SpecError(path, message, section: section, subject: name)
    }

    /// The path, followed by the name of the list element it leads into; the name is left out if it
    /// is longer than 255 bytes or already in the message.
    public static func place(_ path: String, _ subject: String?, before message: String) -> String {
        guard let subject, subject.utf8.count <= 255, !message.mentions(subject) else {
            return path
        }
        let isPlain = subject.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != 0x22 }
        return "\(path) (\(isPlain ? subject : quoted(subject)))"
    }
}

extension SpecErrors {
    func naming(_ document: JSONValue, in start: JSONPath = .root) -> SpecErrors {
        SpecErrors(violations.map { $0.naming(document, in: start) }) ?? self
    }
}

extension Spec {
    /// The name of the list element that `path`, such as `mounts[7].options`, leads into; for a
    /// mount its destination.
    public func subject(at path: JSONPath) -> String? { encoded.subject(at: path) }
}

extension String {
    /// Whether `part` occurs in this text as a word of its own.
    fileprivate func mentions(_ part: String) -> Bool {
        let (all, wanted) = (Array(utf8), Array(part.utf8))
        guard !wanted.isEmpty, all.count >= wanted.count else { return false }
        func isBorder(_ index: Int) -> Bool {
            guard all.indices.contains(index) else { return true }
            switch all[index] {
            case UInt8(ascii: " "), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: ","),
                UInt8(ascii: ":"), UInt8(ascii: ";"), UInt8(ascii: "("), UInt8(ascii: ")"):
                return true
            default: return false
            }
        }
        return (0...all.count - wanted.count).contains { start in
            all[start..<start + wanted.count].elementsEqual(wanted) && isBorder(start - 1)
                && isBorder(start + wanted.count)
        }
    }
}
