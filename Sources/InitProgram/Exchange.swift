// SPDX-License-Identifier: Apache-2.0

/// What the runtime and the child tell each other over the rendezvous.
package enum Message: Equatable, Sendable {
    // MARK: From the runtime

    /// Go on.
    case release(ParentEvent)
    /// A tree for one of the child's mounts.
    case preparedTree(InheritedDescriptor)
    /// The streams of a hook that the child runs, given by the hook's path.
    case hookStreams(String)
    /// The runtime has the seccomp listener.
    case listenerTaken

    // MARK: From the child

    /// How far it is.
    case report(ChildEvent)
    /// The pidfd of the process that goes on in its place.
    case secondProcess
    /// A socket of its network namespace.
    case networkSocket
    /// A tree whose ids are to be mapped.
    case clonedTree(Int)
    /// The terminal's master.
    case terminal
    /// How a hook ended.
    case hookEnd(String)
    /// The program runs: the rendezvous is closed.
    case execution
}

/// One end of a message.
package enum Exchange: Equatable, Sendable {
    case sends(Message)
    case receives(Message)
}

extension InitStep {
    /// What the step tells the runtime and hears of it, in order.
    package var exchanges: [Exchange] {
        switch self {
        case .waitForParent(let event): [.receives(.release(event))]
        case .waitForStart, .waitForStartOrSignal: [.receives(.release(.start))]
        case .reportToParent(let event): [.sends(.report(event))]
        case .continueInChild: [.sends(.secondProcess)]
        case .sendNetworkSocket: [.sends(.networkSocket)]
        case .sendMountTree(let index): [.sends(.clonedTree(index))]
        case .receiveMountTree(let tree): [.receives(.preparedTree(tree))]
        case .openTerminal(let request): request.toConsoleSocket ? [] : [.sends(.terminal)]
        case .runHook(let hook, _, _):
            [.receives(.hookStreams(hook.path)), .sends(.hookEnd(hook.path))]
        case .loadSeccomp(_, _, let listener):
            listener == nil ? [] : [.sends(.report(.listening)), .receives(.listenerTaken)]
        case .execute: [.sends(.execution)]
        default: []
        }
    }
}
