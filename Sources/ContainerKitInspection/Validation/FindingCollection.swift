// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit
internal import RuntimeSpec
internal import SystemPackage

/// The findings of one config, in the order in which they are looked for.
struct FindingCollection {
    private(set) var findings: [ConfigReport.Finding] = []
    private let document: JSONValue
    private let bundle: FilePath?
    private let host: ConfigReport.Host?
    private let check: DocumentCheck
    /// Errors that have been found, so that a plan does not repeat a rule.
    private var known: Set<String> = []
    /// The hints by message: a config with many errors has few messages, and to look through all
    /// hints for each error takes longer than all else.
    private var hints: [String: String] = [:]

    /// How many fields are taken out before a plan is given up: each time all is planned again.
    private let mostRefusals: Int

    init(_ document: JSONValue, _ bundle: FilePath?, _ host: ConfigReport.Host?) {
        self.document = document
        self.bundle = bundle
        self.host = host
        check = DocumentCheck(document)
        mostRefusals = document.encoded().count < 1 << 20 ? 64 : 4
    }

    mutating func collect() {
        for error in check.typeErrors + check.ruleErrors { add(error, .specification, .error) }
        if check.spec != nil, check.spec?.process == nil,
            !check.typeErrors.contains(where: { $0.path == "process" })
        {
            add(
                SpecError(
                    "process", "is missing: the container can be created, but not started",
                    section: "config.md, Process"),
                .specification, .warning)
        }
        if let spec = check.spec { collectRefusals(of: spec) }
        if let host, let spec = check.spec {
            for finding in MissingOnHost(spec, bundle: bundle, host).findings {
                guard let error = check.placed(finding.error) else { continue }
                add(error, .host, finding.severity, hint: finding.hint)
            }
        }
        collectUnknownFields()
        for note in FieldNote.all { collect(note) }
        for warning in check.warnings { add(warning, kind(of: warning), .warning) }
    }

    /// Relative destinations are deprecated; what the other warnings are about is left out.
    private func kind(of warning: SpecError) -> ConfigReport.Finding.Kind {
        warning.message.holds("deprecated") ? .deprecated : .ignored
    }

    private mutating func add(
        _ error: SpecError, _ kind: ConfigReport.Finding.Kind,
        _ severity: ConfigReport.Finding.Severity, hint: String? = nil
    ) {
        guard known.insert("\(error.path): \(error.message)").inserted else { return }
        let section = error.section.map { SpecSection($0) } ?? SpecSection(of: error.path)
        findings.append(
            ConfigReport.Finding(
                kind: kind, severity: severity, path: error.path, subject: error.subject,
                message: error.message, section: section,
                hint: hint ?? usualHint(for: error)))
    }

    private mutating func usualHint(for error: SpecError) -> String {
        if let known = hints[error.message] { return known }
        let hint = Hint.text(for: error) ?? Hint.fallback
        hints[error.message] = hint
        return hint
    }

    // MARK: Plans

    /// Adds what plans refuse.
    ///
    /// A plan stops at its first reason, so the field of the reason is taken out and the rest is
    /// planned again.
    private mutating func collectRefusals(of spec: Spec) {
        guard var spec = keepingRules(spec) else { return }
        let driver = host?.cgroupDriver ?? .cgroupfs
        refuse(&spec, as: .runtime) { PlanCheck.refusalAnywhere(of: $0, cgroupDriver: driver) }
        guard let host else { return }
        let directory = bundle ?? "/"
        refuse(&spec, as: .host) {
            PlanCheck.refusalHere(
                of: $0, bundle: directory, cgroupDriver: host.cgroupDriver, rootless: host.rootless)
        }
    }

    private mutating func refuse(
        _ spec: inout Spec, as kind: ConfigReport.Finding.Kind,
        _ refusal: (Spec) -> ContainerError?
    ) {
        for _ in 0..<mostRefusals {
            guard let error = refusal(spec) else { return }
            report(error, as: kind)
            guard let field = error.field, let rest = spec.without(field) else { return }
            spec = rest
        }
    }

    /// Adds a refusal, with the failed call in its message.
    private mutating func report(_ error: ContainerError, as kind: ConfigReport.Finding.Kind) {
        // Whether the root is there is reported by itself, also for a config without a bundle.
        if kind == .host, error.field == "root.path" { return }
        var parts = [error.message + (error.detail.map { " (\($0))" } ?? "")]
        if let failure = error.failure { parts.append("\(failure)") }
        let path = JSONPath(stringLiteral: error.field ?? "")
        let message = parts.filter { !$0.isEmpty }.joined(separator: ": ")
        guard let placed = check.placed(SpecError(path, message, subject: error.subject)) else {
            return
        }
        add(placed, kind, .error, hint: error.hint)
    }

    /// The config without the fields that violate rules, which plans rely on; nil if there is none.
    private func keepingRules(_ spec: Spec) -> Spec? {
        var spec = spec
        spec.ociVersion = Spec.modeledVersion
        if (spec.root?.path ?? "").isEmpty { spec.root = Root(path: "rootfs") }
        var left = mostRefusals
        while left > 0 {
            do throws(SpecErrors) {
                try spec.check(requiringProcess: false)
                return spec
            } catch {
                for violation in error.violations.prefix(left) {
                    left -= 1
                    // One field may break several rules.
                    if let rest = spec.without(violation.path.description) { spec = rest }
                }
            }
        }
        return nil
    }

    // MARK: Fields

    private mutating func collectUnknownFields() {
        for field in check.unknownFields
        where !FieldNote.all.contains(where: { $0.field == "\(field.path)" }) {
            if let readAs = field.readAs {
                add(
                    SpecError(
                        field.path, "is read as \(readAs), whose spelling it should have",
                        section: field.section), .unknownField, .warning,
                    hint: "write \(readAs)")
                continue
            }
            let nearest = NearestWord.of(field.name, in: field.knownNames)
            add(
                SpecError(
                    field.path, "is not a field of the specification, and has no effect",
                    section: field.section), .unknownField, .warning,
                hint: nearest.map { "did you mean \($0)?" }
                    ?? "remove it; the fields here are \(field.knownNames.joined(separator: ", "))")
        }
    }

    private mutating func collect(_ note: FieldNote) {
        guard let value = document.value(at: note.field), value != .null, note.concerns(value)
        else {
            return
        }
        add(
            SpecError(
                JSONPath(stringLiteral: note.field), note.message, section: note.section),
            note.kind, .warning, hint: note.hint)
    }
}

extension JSONValue {
    /// The value at a path of names alone.
    func value(at path: String) -> JSONValue? {
        path.split(separator: ".").reduce(self as JSONValue?) { value, key in
            guard case .object(let object)? = value else { return nil }
            return object[String(key)]
        }
    }
}
#endif
