// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram

/// Parses the addresses of a message bus, in the form of `DBUS_SESSION_BUS_ADDRESS`.
///
/// Source: D-Bus specification, Server Addresses. Only unix sockets are supported.
enum DBusAddress {
    /// The sockets in a list of addresses, in order; other addresses are ignored.
    static func sockets(in list: String) -> [UnixSocketName] {
        list.split(separator: ";").compactMap { address in
            guard address.begins(with: "unix:") else { return nil }
            for pair in address.dropFirst(5).split(separator: ",") {
                let parts = pair.split(separator: "=", maxSplits: 1)
                guard parts.count == 2, let value = unescaped(parts[1]) else { continue }
                switch parts[0] {
                case "path": return .path(value)
                case "abstract": return .abstract(value)
                default: continue
                }
            }
            return nil
        }
    }

    /// Decodes escapes such as `%20`; nil if an escape is invalid.
    private static func unescaped(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst(), let low = rest.popFirst(),
                let value = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16),
                value != 0
            else { return nil }
            bytes.append(value)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
#endif
