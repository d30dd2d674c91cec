// SPDX-License-Identifier: Apache-2.0

import FuzzRules

@testable import RuntimeSpec

extension Target {
    /// config.json: decoding, rules, and encoding.
    static let config = Target("config", treeShare: 3) { bytes in
        let decoded: Spec?
        var violations: [SpecError] = []
        do throws(SpecDecodingError) {
            decoded = try Spec(json: bytes)
        } catch {
            check(error, in: bytes, of: "config.json")
            if case .fields(let errors) = error { violations = errors.violations }
            decoded = nil
        }
        guard let value = try? JSONValue(json: bytes) else { return }
        checkWhole(value, decoded, violations)
        guard let spec = decoded else { return }
        checkRoundTrip(spec, "Spec", \.encoded) { try Spec(encoded: $0) }
        checkRules(of: spec)
    }

    /// The other documents, each from the same bytes.
    static let documents = Target("documents", treeShare: 3) { bytes in
        checkDocument(bytes, "Process", { try Process(json: $0) }, \.encoded) { process in
            checkViolations(of: "Process.check") { try process.check() }
            _ = process.warnings
        }
        checkDocument(bytes, "Resources", { try Resources(json: $0) }, \.encoded) { resources in
            checkViolations(of: "Resources.check") { try resources.check() }
            _ = resources.warnings
        }
        checkDocument(bytes, "State", { try State(json: $0) }, \.encoded) { _ in }
        checkDocument(bytes, "Features", { try Features(json: $0) }, \.encoded) { _ in }
        checkDocument(bytes, "Landlock", { try Landlock(json: $0) }, \.encoded) { _ in }
        checkDocument(
            bytes, "mounts", { try Mount.list(json: $0) }, { .array($0.map(\.encoded)) }
        ) { _ in }
        checkDocument(
            bytes, "devices", { try DeviceNode.list(json: $0) }, { .array($0.map(\.encoded)) }
        ) { _ in }
    }
}

/// `validate` finds what decoding finds, and goes on.
private func checkWhole(_ value: JSONValue, _ decoded: Spec?, _ violations: [SpecError]) {
    let whole = DocumentCheck(value)
    expect(
        whole.typeErrors == violations,
        "validate finds other errors of types: \(whole.typeErrors) and \(violations)")
    if let decoded { expect(whole.spec == decoded, "validate decodes another config") }
    let found = whole.ruleErrors
    if !found.isEmpty { check(found, of: "validate") }
    for warning in whole.warnings { checkLine(warning.description, of: "a warning") }
    for field in whole.unknownFields {
        expect(!field.knownNames.isEmpty, "\(field.path): an object without fields")
        expect(
            !field.knownNames.contains { $0.utf8.elementsEqual(field.name.utf8) },
            "\(field.path): a known field is called unknown")
    }
}

private func checkRules(of spec: Spec) {
    let withProcess = checkViolations(of: "Spec.check") { try spec.check() }
    let without = checkViolations(of: "Spec.check") { try spec.check(requiringProcess: false) }
    expect(
        withProcess == without + (spec.process == nil ? 1 : 0),
        "only a missing process may make a difference")
    for warning in spec.warnings { checkLine(warning.description, of: "a warning") }
    if without == 0 { checkNames(in: spec) }
}

/// Names that become paths have no slash, and lines no end, as bytes: that is what the kernel sees.
private func checkNames(in spec: Spec) {
    let linux = spec.linux
    for name in linux?.resources?.unified?.keys.sorted() ?? [] {
        expect(
            !name.utf8.contains(UInt8(ascii: "/")), "unified has a path: \(name.debugDescription)")
    }
    for name in linux?.sysctl?.keys.sorted() ?? [] {
        let path = Linux.sysctlPath(name) ?? ".."
        let parts = path.utf8.split(separator: UInt8(ascii: "/")).map { Array($0) }
        expect(!parts.contains(Array("..".utf8)), "sysctl goes up: \(name.debugDescription)")
    }
    if let cgroup = linux?.cgroupsPath {
        let parts = cgroup.utf8.split(separator: UInt8(ascii: "/")).map { Array($0) }
        expect(!parts.contains(Array("..".utf8)), "cgroupsPath goes up: \(cgroup.debugDescription)")
    }
    guard let rdt = linux?.intelRdt else { return }
    let name = rdt.closID ?? ""
    expect(
        name == "/" || !name.utf8.contains(UInt8(ascii: "/")),
        "closID is a path: \(name.debugDescription)")
    for line in (rdt.schemata ?? []) + [rdt.memBwSchema ?? ""] {
        expect(
            !line.utf8.contains(UInt8(ascii: "\n")), "a schema has lines: \(line.debugDescription)")
    }
}

/// The number of violations, each of which names its field.
@discardableResult
private func checkViolations(of source: String, _ body: () throws -> Void) -> Int {
    do {
        try body()
        return 0
    } catch let errors as SpecErrors {
        check(errors.violations, of: source)
        return errors.violations.count
    } catch {
        fail("\(source): another error: \(error)")
    }
}

private func checkDocument<Document: Equatable>(
    _ bytes: [UInt8], _ name: String, _ read: ([UInt8]) throws -> Document,
    _ encoded: (Document) -> JSONValue, _ rules: (Document) -> Void
) {
    do {
        let document = try read(bytes)
        checkRoundTrip(document, name, encoded) { try read($0.encoded()) }
        rules(document)
    } catch let error as SpecDecodingError {
        check(error, in: bytes, of: name)
    } catch {
        fail("\(name): another error: \(error)")
    }
}
