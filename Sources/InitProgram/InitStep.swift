// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// One step of the init process, in the order in which it takes them.
///
/// A step is a plain value: it can be compared, printed (`sentence`) and lowered to instructions.
/// The file of its theme has everything about it. Paths are inside the root file system unless a
/// step says otherwise.
package enum InitStep: Equatable, Sendable {
    case process(ProcessStep)
    case attribute(AttributeStep)
    case exchange(ExchangeStep)
    case hook(HookStep)
    case namespace(NamespaceStep)
    case root(RootStep)
    case mount(MountStep)
    case maskedPath(MaskedPathStep)
    case file(FileStep)
    case device(DeviceStep)
    case terminal(TerminalStep)
    case stream(StreamStep)
    case identity(IdentityStep)
    case label(LabelStep)
    case landlock(LandlockStep)
    case filter(FilterStep)
    case execution(ExecutionStep)
}

extension InitStep {
    /// The step as an existential: for texts, where speed does not matter.
    package var content: any ChildStep {
        switch self {
        case .process(let step): step
        case .attribute(let step): step
        case .exchange(let step): step
        case .hook(let step): step
        case .namespace(let step): step
        case .root(let step): step
        case .mount(let step): step
        case .maskedPath(let step): step
        case .file(let step): step
        case .device(let step): step
        case .terminal(let step): step
        case .stream(let step): step
        case .identity(let step): step
        case .label(let step): step
        case .landlock(let step): step
        case .filter(let step): step
        case .execution(let step): step
        }
    }

    /// One line that says what the step does.
    package var sentence: String { content.sentence }

    // Every launch asks each step for these, so they avoid the slower existential.

    /// The inherited descriptors that the step needs.
    package var inputs: [InheritedDescriptor] {
        switch self {
        case .process(let step): step.inputs
        case .attribute(let step): step.inputs
        case .exchange(let step): step.inputs
        case .hook(let step): step.inputs
        case .namespace(let step): step.inputs
        case .root(let step): step.inputs
        case .mount(let step): step.inputs
        case .maskedPath(let step): step.inputs
        case .file(let step): step.inputs
        case .device(let step): step.inputs
        case .terminal(let step): step.inputs
        case .stream(let step): step.inputs
        case .identity(let step): step.inputs
        case .label(let step): step.inputs
        case .landlock(let step): step.inputs
        case .filter(let step): step.inputs
        case .execution(let step): step.inputs
        }
    }

    /// The messages that the step sends and receives, in order.
    package var exchanges: [Exchange] {
        switch self {
        case .process(let step): step.exchanges
        case .attribute(let step): step.exchanges
        case .exchange(let step): step.exchanges
        case .hook(let step): step.exchanges
        case .namespace(let step): step.exchanges
        case .root(let step): step.exchanges
        case .mount(let step): step.exchanges
        case .maskedPath(let step): step.exchanges
        case .file(let step): step.exchanges
        case .device(let step): step.exchanges
        case .terminal(let step): step.exchanges
        case .stream(let step): step.exchanges
        case .identity(let step): step.exchanges
        case .label(let step): step.exchanges
        case .landlock(let step): step.exchanges
        case .filter(let step): step.exchanges
        case .execution(let step): step.exchanges
        }
    }

    var usesRoot: Bool {
        switch self {
        case .process(let step): step.usesRoot
        case .attribute(let step): step.usesRoot
        case .exchange(let step): step.usesRoot
        case .hook(let step): step.usesRoot
        case .namespace(let step): step.usesRoot
        case .root(let step): step.usesRoot
        case .mount(let step): step.usesRoot
        case .maskedPath(let step): step.usesRoot
        case .file(let step): step.usesRoot
        case .device(let step): step.usesRoot
        case .terminal(let step): step.usesRoot
        case .stream(let step): step.usesRoot
        case .identity(let step): step.usesRoot
        case .label(let step): step.usesRoot
        case .landlock(let step): step.usesRoot
        case .filter(let step): step.usesRoot
        case .execution(let step): step.usesRoot
        }
    }

    var usedMount: String? {
        switch self {
        case .process(let step): step.usedMount
        case .attribute(let step): step.usedMount
        case .exchange(let step): step.usedMount
        case .hook(let step): step.usedMount
        case .namespace(let step): step.usedMount
        case .root(let step): step.usedMount
        case .mount(let step): step.usedMount
        case .maskedPath(let step): step.usedMount
        case .file(let step): step.usedMount
        case .device(let step): step.usedMount
        case .terminal(let step): step.usedMount
        case .stream(let step): step.usedMount
        case .identity(let step): step.usedMount
        case .label(let step): step.usedMount
        case .landlock(let step): step.usedMount
        case .filter(let step): step.usedMount
        case .execution(let step): step.usedMount
        }
    }

    func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .process(let step): step.lower(into: &code, &state)
        case .attribute(let step): step.lower(into: &code, &state)
        case .exchange(let step): step.lower(into: &code, &state)
        case .hook(let step): step.lower(into: &code, &state)
        case .namespace(let step): step.lower(into: &code, &state)
        case .root(let step): step.lower(into: &code, &state)
        case .mount(let step): step.lower(into: &code, &state)
        case .maskedPath(let step): step.lower(into: &code, &state)
        case .file(let step): step.lower(into: &code, &state)
        case .device(let step): step.lower(into: &code, &state)
        case .terminal(let step): step.lower(into: &code, &state)
        case .stream(let step): step.lower(into: &code, &state)
        case .identity(let step): step.lower(into: &code, &state)
        case .label(let step): step.lower(into: &code, &state)
        case .landlock(let step): step.lower(into: &code, &state)
        case .filter(let step): step.lower(into: &code, &state)
        case .execution(let step): step.lower(into: &code, &state)
        }
    }
}

/// The themes by name: all that is kept of a step once the plan is gone.
package enum StepTheme: String, CaseIterable, Sendable {
    case process, attribute, exchange, hook, namespace, root, mount, maskedPath, file, device,
        terminal, stream, identity, label, landlock, filter, execution

    /// The theme of a step.
    package init(_ step: InitStep) {
        self =
            switch step {
            case .process: .process
            case .attribute: .attribute
            case .exchange: .exchange
            case .hook: .hook
            case .namespace: .namespace
            case .root: .root
            case .mount: .mount
            case .maskedPath: .maskedPath
            case .file: .file
            case .device: .device
            case .terminal: .terminal
            case .stream: .stream
            case .identity: .identity
            case .label: .label
            case .landlock: .landlock
            case .filter: .filter
            case .execution: .execution
            }
    }

    /// The reason why the kernel refused a call of this theme; nil if the errno says enough.
    package func hint(for refusal: Refusal) -> String? {
        switch self {
        case .process: ProcessStep.hint(for: refusal)
        case .attribute: AttributeStep.hint(for: refusal)
        case .exchange: ExchangeStep.hint(for: refusal)
        case .hook: HookStep.hint(for: refusal)
        case .namespace: NamespaceStep.hint(for: refusal)
        case .root: RootStep.hint(for: refusal)
        case .mount: MountStep.hint(for: refusal)
        case .maskedPath: MaskedPathStep.hint(for: refusal)
        case .file: FileStep.hint(for: refusal)
        case .device: DeviceStep.hint(for: refusal)
        case .terminal: TerminalStep.hint(for: refusal)
        case .stream: StreamStep.hint(for: refusal)
        case .identity: IdentityStep.hint(for: refusal)
        case .label: LabelStep.hint(for: refusal)
        case .landlock: LandlockStep.hint(for: refusal)
        case .filter: FilterStep.hint(for: refusal)
        case .execution: ExecutionStep.hint(for: refusal)
        }
    }
}
#endif
