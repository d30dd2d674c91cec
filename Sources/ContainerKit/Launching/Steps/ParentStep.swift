// SPDX-License-Identifier: Apache-2.0

// Steps: the runtime's part of a launch, outside the child. One file per theme contains everything
// about a step: its data, sentence, messages, descriptors, and how it is performed.
//
//   ParentStep        a step of any theme, with its origin
//   RecordSteps       the state directory, the record, the pid file
//   CgroupSteps       cgroups, their limits and device rules; a scope of systemd
//   ResctrlSteps      the groups of resctrl
//   NamespaceSteps    namespaces, processes and roots to join; network devices that move in
//   MountSteps        prepares trees for the child's mounts
//   SocketSteps       the console socket, the start socket, readiness, the pidfd socket
//   ListenerSteps     the listener of seccomp notifications
//   ChildLaunchSteps  the child's clone, the messages over the rendezvous, the wait for its program
//   UserNamespaceSteps  what a process of a user namespace may not do: ID maps, OOM score, limits
//   StreamSteps       standard streams for the process's user
//   HookSteps         runs hooks in the runtime's namespaces, and supports those in init's

#if os(Linux)
internal import InitProgram

/// The steps of one theme.
protocol ParentAction: Equatable, Sendable {
    /// One line that says what the step does, as an imperative.
    var sentence: String { get }

    /// The messages that it sends and receives, in order.
    var exchanges: [Exchange] { get }

    /// The descriptors that it opens for the child to inherit.
    var provides: [InheritedDescriptor] { get }

    /// Performs the step.
    ///
    /// - Parameters:
    ///   - launcher: the state of the launch so far.
    ///   - origin: what asks for the step, for error messages.
    /// - Throws: the refusal, with the field that asks for the step.
    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError)
}

/// A step of the runtime for a launch, outside the child.
enum ParentStep: Equatable, Sendable {
    case record(RecordStep)
    case cgroup(CgroupStep)
    case resctrl(ResctrlStep)
    case namespace(ParentNamespaceStep)
    case mount(ParentMountStep)
    case socket(SocketStep)
    case listener(ListenerStep)
    case child(ChildLaunchStep)
    case userNamespace(UserNamespaceStep)
    case streams(ParentStreamStep)
    case hooks(ParentHookStep)

    var action: any ParentAction {
        switch self {
        case .record(let step): step
        case .cgroup(let step): step
        case .resctrl(let step): step
        case .namespace(let step): step
        case .mount(let step): step
        case .socket(let step): step
        case .listener(let step): step
        case .child(let step): step
        case .userNamespace(let step): step
        case .streams(let step): step
        case .hooks(let step): step
        }
    }
}

/// A step of the runtime and its origin.
struct PlannedParentStep: Equatable, Sendable {
    /// What asks for the step.
    let origin: Origin
    /// The step itself.
    let step: ParentStep

    init(_ origin: Origin, _ step: ParentStep) {
        self.origin = origin
        self.step = step
    }
}
#endif
