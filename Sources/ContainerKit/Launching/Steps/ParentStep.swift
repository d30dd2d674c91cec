// SPDX-License-Identifier: Apache-2.0

// Steps: what the runtime does for a launch, outside the child. A file a theme, and all of a step in it: its
// data, its sentence, what it tells the child, what it opens for the child, and how it is performed.
//
//   ParentStep        a step of any theme, and where it comes from
//   RecordSteps       the state directory, the record, the pid file
//   CgroupSteps       cgroups, their limits and device rules; a scope of systemd
//   ResctrlSteps      the groups of resctrl
//   NamespaceSteps    namespaces, processes and roots to join; network devices that move in
//   MountSteps        trees that are prepared for the child's mounts
//   SocketSteps       the console socket, the start socket, readiness, the pidfd socket
//   ListenerSteps     who is notified by seccomp
//   BirthSteps        the child's clone, the words over the rendezvous, and the wait for its program
//   UserNamespaceSteps  what nobody may do in a user namespace: id maps, OOM score, limits
//   StreamSteps       standard streams for the process's user
//   HookSteps         hooks in the runtime's namespaces, and what those in init's need

internal import InitProgram

/// The steps of one theme.
protocol ParentAction: Equatable, Sendable {
    /// One line that tells what is done, as an order.
    var sentence: String { get }

    /// What it tells the child and hears of it, in order.
    var exchanges: [Exchange] { get }

    /// What it opens for the child to inherit.
    var provides: [InheritedDescriptor] { get }

    /// Does it.
    ///
    /// - Parameters:
    ///   - launcher: what the launch holds so far.
    ///   - origin: what asks for the step, for the errors.
    /// - Throws: what is refused, with the field that asks for it.
    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError)
}

/// One thing that the runtime does for a launch, outside the child.
enum ParentStep: Equatable, Sendable {
    case record(RecordStep)
    case cgroup(CgroupStep)
    case resctrl(ResctrlStep)
    case namespace(ParentNamespaceStep)
    case mount(ParentMountStep)
    case socket(SocketStep)
    case listener(ListenerStep)
    case child(BirthStep)
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

/// A step of the runtime and what asks for it.
struct PlannedParentStep: Equatable, Sendable {
    /// What asks for it.
    let origin: Origin
    /// What is done.
    let step: ParentStep

    init(_ origin: Origin, _ step: ParentStep) {
        self.origin = origin
        self.step = step
    }
}
