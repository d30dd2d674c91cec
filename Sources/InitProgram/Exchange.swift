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
