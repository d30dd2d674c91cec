// SPDX-License-Identifier: Apache-2.0

/// A rule checks one thing and adds its violations.
typealias Rule<Subject> = @Sendable (Subject, inout [SpecError]) -> Void

/// The rules for a whole configuration, except those for its process and resources.
private let specRules: [Rule<Spec>] = [
    checkVersion, checkRoot, checkHostNames,
    checkMountDestinations, checkBindSources, checkMountMappings, checkHooks,
    checkNamespacesAreUnique, checkNamespacePaths, checkUserNamespace, checkIDMappingRanges,
    checkMappedIDs,
    checkTimeOffsets, checkSysctl, checkHiddenPaths, checkCgroupsPath, checkDeviceNodes,
    checkNetDevices, checkSeccompErrors, checkSeccompListener, checkSeccompNotification,
    checkSeccompRules,
    checkPersonality, checkIntelRdt, checkMemoryPolicy,
]

private let processRules: [Rule<Process>] = [
    checkArguments, checkWorkingDirectory, checkEnvironment, checkConsoleSize, checkUserIDs,
    checkUmask, checkEffectiveCapabilities,
    checkRlimits, checkOOMScoreAdjustment, checkScheduler, checkIOPriority, checkCPUAffinity,
]

private let resourcesRules: [Rule<Resources>] = [
    checkDeviceRules, checkHugepageLimits, checkRdmaLimits, checkUnifiedFiles,
]

private let warningRules: [Rule<Spec>] = [warnOfRelativeDestinations]

private let processWarningRules: [Rule<Process>] = [
    warnOfUnknownCapabilities, warnOfLostAmbientCapabilities,
]

extension Spec {
    /// Checks everything the specification demands beyond types.
    ///
    /// The specification lets a container be created without a process, but not started; a missing
    /// process is a violation only if `requiringProcess`. Throws all violations at once.
    public func check(requiringProcess: Bool = true) throws(SpecErrors) {
        var found: [SpecError] = []
        for rule in specRules { rule(self, &found) }
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
        for rule in warningRules { rule(self, &found) }
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
        for rule in processWarningRules { rule(self, &found) }
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
        warnOfDeviceLetters(self, &found)
        return found
    }
}
