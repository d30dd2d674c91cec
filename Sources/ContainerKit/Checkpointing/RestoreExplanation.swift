// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

// Which steps of a creation a restore performs, and a restore as text.

extension ParentStep {
    /// When a restore performs a step of a creation.
    enum RestoreMoment {
        /// Before CRIU is asked: it makes the surroundings of restored processes.
        case before
        /// When CRIU has made the namespaces.
        case namespaces
        /// When the processes are there and checked.
        case after
        /// Not at all: CRIU makes the processes, their namespaces and mounts, and a restore writes
        /// the record itself.
        case never
        /// It is of a container that cannot be restored: one without its own mount namespace.
        case refused
    }

    var momentOfRestore: RestoreMoment {
        switch self {
        case .record(.begin), .cgroup(.startScope), .cgroup(.make), .cgroup(.adopt),
            .cgroup(.setDevices), .cgroup(.limit), .cgroup(.makeDelegated), .cgroup(.giveTo),
            .resctrl(.make),
            .namespace(.open), .mount(.cloneRootfs), .socket(.connectConsole),
            .socket(.prepareReadiness):
            .before
        // As in runc, only the hooks that prepare the namespaces.
        case .hooks(.run(let hooks)):
            hooks.contains { $0.point == .prestart || $0.point == .createRuntime }
                ? .namespaces : .never
        case .resctrl(.enter), .socket(.sendPidfd), .cgroup(.leaveScope),
            .cgroup(.keepScope), .cgroup(.enableControllers), .record(.pidFile):
            .after
        case .record(.process), .record(.ownCgroup), .record(.stage), .record(.created),
            .cgroup(.open), .cgroup(.attachToScope), .namespace(.openProcess),
            .namespace(.openRootOfInit),
            .namespace(.moveNetDevices), .mount(.bind), .mount(.mappedFilesystem),
            .mount(.copyIntoTmpfs), .mount(.hostDevice), .mount(.makeDevice),
            .mount(.cgroupDirectory), .mount(.mapClonedTree), .mount(.send),
            .mount(.makeMountPoints), .mount(.receiveAttached), .mount(.openAttached),
            .socket(.receiveTerminal), .socket(.listenForStart),
            .listener, .child, .userNamespace, .streams, .hooks(.supervise):
            .never
        case .record(.rootMount), .mount(.openRootfs): .refused
        }
    }
}

extension LaunchPlan {
    /// The steps that make the surroundings of restored processes.
    ///
    /// - Throws: `unsupported` for a container without its own mount namespace.
    func stepsBeforeRestore() throws(ContainerError) -> [PlannedParentStep] {
        guard !parentSteps.contains(where: { $0.step.momentOfRestore == .refused }) else {
            throw ContainerError(
                .unsupported, "a container without a mount namespace cannot be restored",
                field: "linux.namespaces")
        }
        return steps(at: .before)
    }

    /// The hooks that run once CRIU has made the namespaces.
    var hooksOfRestore: [PlannedParentStep] { steps(at: .namespaces) }

    /// The steps that turn restored processes into a container.
    var stepsAfterRestore: [PlannedParentStep] { steps(at: .after) }

    private func steps(at moment: ParentStep.RestoreMoment) -> [PlannedParentStep] {
        parentSteps.filter { $0.step.momentOfRestore == moment }
    }
}

/// What a restore would do, from the same values that the restore uses.
struct RestoreExplanation: Equatable {
    /// One action, and the config field that asks for it.
    struct Line: Equatable {
        let field: String
        let text: String
    }

    /// The actions at one moment.
    struct Section: Equatable {
        /// The section's name in JSON.
        let key: String
        let title: String
        let lines: [Line]
    }

    let sections: [Section]

    /// Reads the image and the host; nothing is changed.
    ///
    /// - Throws: whatever would make the restore fail before CRIU is called, except shared
    ///   resources of copies, which are only listed.
    init(
        _ plan: LaunchPlan, _ spec: Spec, _ record: ContainerRecord, from path: String,
        _ options: RestoreOptions, storePath: String
    ) throws(ContainerError) {
        let image = try CheckpointImage(
            restoring: path, work: options.workPath?.text, looksOnly: true)
        let request = try RestoreRequest(
            spec, options, record, image, statePath: "\(storePath)/\(record.id)")
        let criu = try request.criuOptions(logFile: image.log.name) { kind in
            let namespace = (spec.linux?.namespaces ?? []).first {
                $0.kind.rawValue == kind.rawValue
            }
            guard let path = namespace?.path, !path.isEmpty else { return nil }
            return JoinedNamespace(descriptor: -1, path: path)
        }
        var criuLines = criu.fields.map { Line(field: $0.name, text: $0.value.words) }
        for directory in record.cgroups.directories {
            criuLines.append(Line(field: "cg_root", text: "as CRIU is in it: \(directory.path)"))
        }
        let isTerminal = spec.process?.terminal == true
        sections = [
            Section(
                key: "before", title: "The runtime, before CRIU:",
                lines: Self.lines(try plan.stepsBeforeRestore()) + MountPoints.lines(for: spec)),
            Section(
                key: "mounts", title: "Mounts that are connected to the host:",
                lines: criu.externalMounts.map { Line(field: $0.key, text: $0.value) }
                    + (try request.missingMounts()).map { Line(field: "", text: "not made: \($0)") }
            ),
            Section(
                key: "sharing", title: "What copies of the image would share:",
                lines: try image.sharedThings(spec, options).map { thing in
                    Line(
                        field: thing.field ?? "",
                        text: "\(thing.what): "
                            + (thing.isAllowed
                                ? "allowed" : "refused, --copy-shares \(thing.name) allows it"))
                }),
            Section(key: "criu", title: "What CRIU is asked for:", lines: criuLines),
            Section(
                key: "hooks", title: "When the namespaces are there:",
                lines: Self.lines(plan.hooksOfRestore)
                    + (isTerminal
                        ? [Line(field: "process.terminal", text: "take the terminal from CRIU")]
                        : [])
            ),
            Section(
                key: "checks", title: "Before a process goes on, it is looked whether:",
                lines: RestoredRule.applying(to: spec, hasIDMaps: plan.idMaps != nil).map {
                    Line(field: $0.field, text: $0.sentence)
                }),
            Section(
                key: "after", title: "Then the container is known, and the runtime has to:",
                lines: Self.lines(plan.stepsAfterRestore)),
        ]
    }

    private static func lines(_ steps: [PlannedParentStep]) -> [Line] {
        steps.map { Line(field: $0.origin.description, text: $0.step.action.sentence) }
    }

    /// For people: a title for each section, and two columns; empty sections are left out.
    var text: String {
        sections.filter { !$0.lines.isEmpty }.map { section in
            let lines = section.lines.map { line in
                (field: Printable.text(line.field), text: Printable.text(line.text))
            }
            let width = lines.map(\.field.count).max() ?? 0
            let rows = lines.map { field, text in
                "  " + field + String(repeating: " ", count: width - field.count) + "  " + text
            }
            return ([section.title] + rows).joined(separator: "\n") + "\n"
        }.joined(separator: "\n")
    }

    /// For programs: an array of `{"field", "step"}` for each section.
    var json: JSONValue {
        var object: JSONObject = [:]
        for section in sections {
            object.append(
                section.key,
                .array(
                    section.lines.map {
                        .object(["field": .string($0.field), "step": .string($0.text)])
                    }))
        }
        return .object(object)
    }
}
#endif
