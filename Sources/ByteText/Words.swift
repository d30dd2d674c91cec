// SPDX-License-Identifier: Apache-2.0

/// The words of a kernel file, separated by spaces, tabs or newlines.
package func words(of text: [UInt8]) -> [String] {
    text.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\n") }
        .map { String(decoding: $0, as: UTF8.self) }
}
