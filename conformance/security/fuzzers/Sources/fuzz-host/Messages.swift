// SPDX-License-Identifier: Apache-2.0

import FuzzRules

@testable import ContainerKit

extension Target {
    /// Messages of systemd's bus and of CRIU, and values in annotations: the first byte chooses.
    static let messages = Target("messages") { bytes in
        guard let choice = bytes.first else { return }
        let message = bytes.dropFirst()
        switch choice {
        case UInt8(ascii: "d"):
            do throws(DBusFormatError) {
                try check(message)
            } catch {
                checkLine("\(error)", of: "D-Bus")
            }
        case UInt8(ascii: "c"):
            guard let response = CriuResponse(Array(message)) else { return }
            expect(response == CriuResponse(Array(message)), "CRIU: it is read in another way")
        case UInt8(ascii: "v"):
            do throws(VariantTextError) {
                checkEncoding(
                    of: try VariantText.value(of: String(decoding: message, as: UTF8.self)))
            } catch {
                expect(!"\(error)".isEmpty, "no word on a wrong value")
            }
        default: break
        }
    }
}

private func check(_ bytes: ArraySlice<UInt8>) throws(DBusFormatError) {
    if bytes.count >= DBusMessage.prefixLength {
        let length = try? DBusMessage.length(beginning: bytes.prefix(DBusMessage.prefixLength))
        expect(length ?? 0 <= DBusMessage.longestBytes, "D-Bus: a message of \(length ?? 0) bytes")
    }
    guard let message = try DBusMessage(decoding: bytes) else { return }
    // Our own messages begin with "l".
    if bytes.first == UInt8(ascii: "l") {
        let encoded = message.encoded
        let again = try? DBusMessage(decoding: encoded[...])
        expect(again?.encoded == encoded, "D-Bus: a message differs after encoding")
    }
    for value in try message.arguments() { checkEncoding(of: value) }
}

/// A value is the same bytes after it was written and read.
private func checkEncoding(of value: DBusValue) {
    var writer = DBusWriter()
    writer.append(value)
    let signature = Array(value.signature.utf8)
    // A variant's signature has at most 255 letters; values of longer ones are refused later.
    guard signature.count < 256 else { return }
    var reader = DBusReader(writer.bytes[...], isLittleEndian: true)
    let values: [DBusValue]
    do throws(DBusFormatError) {
        values = try reader.values(signature)
    } catch {
        // Around a variant the depth counts from there on.
        return
    }
    expect(values.count == 1 && reader.remaining == 0, "D-Bus: a value becomes several")
    var second = DBusWriter()
    second.append(values[0])
    expect(second.bytes == writer.bytes, "D-Bus: a value differs after encoding")
}
