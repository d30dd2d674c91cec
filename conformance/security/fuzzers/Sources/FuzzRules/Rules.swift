// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec

// Rules.swift     how a broken rule is told, and rules for messages and documents
// Target.swift    runs one input, and watches its time and memory
// Mutator.swift   changes documents as trees, beside libFuzzer's own changes of bytes
// Words.swift     names and texts that the changes take

/// Ends the program with the rule that the input has broken; libFuzzer keeps the input.
package func fail(_ rule: String) -> Never {
    fatalError("rule broken: \(rule)")
}

/// Fails unless the rule holds.
package func expect(_ holds: Bool, _ rule: @autoclosure () -> String) {
    if !holds { fail(rule()) }
}

/// A message for people is one line, without what a terminal obeys.
package func checkLine(_ text: String, of source: String) {
    expect(!text.isEmpty, "\(source): the message is empty")
    for scalar in text.unicodeScalars {
        let isControl = scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
        expect(
            !isControl,
            "\(source): the message has control character \(scalar.value): "
                + text.debugDescription)
    }
}

/// The error of a text that is not JSON names a place in it.
package func check(_ error: JSONSyntaxError, in bytes: [UInt8]) {
    expect(!error.message.isEmpty, "the error of a text that is not JSON says nothing")
    checkLine(error.description, of: "syntax")
    if error.description == "the file is empty" {
        let blanks: [UInt8] = [0x20, 0x09, 0x0A, 0x0D]
        return expect(bytes.allSatisfy(blanks.contains), "a text that is not empty is called so")
    }
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    expect(
        (1...lines.count).contains(error.line)
            && (1...(lines[error.line - 1].count + 1)).contains(error.column),
        "the error is at no place of the text: \(error)")
}

/// Each violation says what is wrong, and where, unless it concerns the whole document.
package func check(_ errors: [SpecError], of source: String, namesFields: Bool = true) {
    expect(!errors.isEmpty, "\(source): an error without a violation")
    for error in errors {
        expect(!error.message.isEmpty, "\(source): a violation without a message")
        checkLine(error.description, of: source)
        expect(!namesFields || error.path != .root, "\(source): no field is named: \(error)")
    }
}

package func check(_ error: SpecDecodingError, in bytes: [UInt8], of source: String) {
    switch error {
    case .syntax(let error): check(error, in: bytes)
    case .fields(let errors):
        // A document that is no object has no field to name.
        check(errors.violations, of: source, namesFields: bytes.first { $0 > 0x20 } == 0x7B)
    }
}

/// A value is the same after it was written and read, in either form.
package func checkText(of value: JSONValue) {
    let text = value.encoded()
    checkBytes(text, [])
    for form in [text, value.encoded(pretty: true)] {
        checkBytes(form, [UInt8(ascii: "\n")])
        do throws(JSONSyntaxError) {
            let again = try JSONValue(json: form)
            expect(again == value, "the value differs after writing and reading")
            // Texts are equal to Swift if they only look the same.
            expect(again.encoded() == text, "the text differs after writing and reading")
        } catch {
            fail("what was written cannot be read: \(error)")
        }
    }
}

/// Written JSON has no control characters.
private func checkBytes(_ text: [UInt8], _ allowed: [UInt8]) {
    for (index, byte) in text.enumerated() {
        let isLate = byte == 0xC2 && index + 1 < text.count && text[index + 1] < 0xA0
        let isControl = byte < 0x20 && !allowed.contains(byte) || byte == 0x7F || isLate
        expect(!isControl, "a control character was written at byte \(index)")
    }
}

/// A document is the same after it was encoded and decoded, as a value and as a text.
package func checkRoundTrip<Document: Equatable>(
    _ document: Document, _ source: String, _ encoded: (Document) -> JSONValue,
    _ decoded: (JSONValue) throws -> Document?
) {
    let value = encoded(document)
    checkText(of: value)
    do {
        guard let again = try decoded(value) else {
            fail("\(source): what was encoded is no document")
        }
        expect(again == document, "\(source): the document differs after encoding and decoding")
        expect(
            encoded(again).encoded() == value.encoded(),
            "\(source): the encoding differs after decoding")
    } catch {
        fail("\(source): what was encoded cannot be decoded: \(error)")
    }
}
