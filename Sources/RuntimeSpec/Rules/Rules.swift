// SPDX-License-Identifier: Apache-2.0

/// A rule checks one thing and adds its violations.
typealias Rule<Subject> = @Sendable (Subject, inout [SpecError]) -> Void

/// The rules for a whole configuration, except those for its process and resources.
///
/// Each theme has its list at the head of its file, so that a new rule needs no other place.
private let specRules: [[Rule<Spec>]] = [
    documentRules, namespaceRules, idMappingRules, sysctlRules, linuxRules, seccompRules,
]

extension Spec {
    /// Checks everything the specification demands beyond types.
    ///
    /// The specification lets a container be created without a process, but not started; a missing
    /// process is a violation only if `requiringProcess`. Throws all violations at once.
    public func check(requiringProcess: Bool = true) throws(SpecErrors) {
        var found: [SpecError] = []
        for rules in specRules { for rule in rules { rule(self, &found) } }
        if let process {
            for rule in processRules { rule(process, &found) }
        } else if requiringProcess {
            found.append(SpecError("process", "must be present", section: "config.md, Process"))
        }
        if let resources = linux?.resources {
            for rule in resourcesRules { rule(resources, &found) }
        }
        if let errors = SpecErrors(found) { throw errors.naming(encoded) }
    }

    /// What is allowed but probably not meant; to be logged, never a reason to fail.
    public var warnings: [SpecError] {
        var found: [SpecError] = []
        for rule in documentWarnings { rule(self, &found) }
        found += (process?.warnings ?? []) + (linux?.resources?.warnings ?? [])
        guard !found.isEmpty else { return [] }
        let document = encoded
        return found.map { $0.naming(document) }
    }
}

extension Process {
    /// Checks a process that joins a container; throws all violations at once.
    public func check() throws(SpecErrors) {
        var found: [SpecError] = []
        for rule in processRules { rule(self, &found) }
        if let errors = SpecErrors(found) { throw errors.naming(encoded, in: "process") }
    }

    /// Checks that the container's user namespace maps the user of a process that joins it.
    public func checkMapping(in spec: Spec) throws(SpecErrors) {
        var joined = spec
        joined.process = self
        var found: [SpecError] = []
        checkMappedIDs(joined, &found)
        if let errors = SpecErrors(found) { throw errors }
    }

    /// What is allowed but probably not meant; to be logged, never a reason to fail.
    public var warnings: [SpecError] {
        var found: [SpecError] = []
        for rule in processWarnings { rule(self, &found) }
        return found
    }
}

extension Resources {
    /// Checks the resources of an update of a container; throws all violations at once.
    public func check() throws(SpecErrors) {
        var found: [SpecError] = []
        for rule in resourcesRules { rule(self, &found) }
        if let errors = SpecErrors(found) {
            throw errors.naming(encoded, in: "linux.resources")
        }
    }

    /// What is allowed but probably not meant; to be logged, never a reason to fail.
    public var warnings: [SpecError] {
        var found: [SpecError] = []
        for rule in resourcesWarnings { rule(self, &found) }
        return found
    }
}
