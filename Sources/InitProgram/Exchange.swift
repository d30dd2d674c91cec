// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// The messages between runtime and child over the rendezvous.
package enum Message: Equatable, Sendable {
    // MARK: From the runtime

    /// The child may go on.
    case release(ParentEvent)
    /// A tree for one of the child's mounts.
    case preparedTree(InheritedDescriptor)
    /// The streams of a hook that the child runs, given by the hook's path.
    case hookStreams(String)
    /// The runtime has the seccomp listener.
    case listenerTaken

    // MARK: From the child

    /// The child's progress.
    case report(ChildEvent)
    /// The pidfd of the process that goes on in the child's place.
    case secondProcess
    /// A socket in the child's network namespace.
    case networkSocket
    /// A tree whose file IDs the runtime maps.
    case clonedTree(Int)
    /// The master of the terminal.
    case terminal
    /// How a hook ended.
    case hookEnd(String)
    /// The program runs: execve has closed the rendezvous.
    case execution
}

/// One end of a message: its sender's or its receiver's.
package enum Exchange: Equatable, Sendable {
    case sends(Message)
    case receives(Message)
}

extension Message: CustomStringConvertible {
    /// The message in words, for errors about a plan whose sides do not match.
    package var description: String {
        switch self {
        case .release(let event): "the word to go on: \(event.rawValue)"
        case .preparedTree: "a prepared tree"
        case .hookStreams(let path): "the streams of the hook \(path)"
        case .listenerTaken: "the word that the seccomp listener is taken"
        case .report(let event): "the report that \(event.words)"
        case .secondProcess: "the second process"
        case .networkSocket: "a socket of the network namespace"
        case .clonedTree(let index): "the cloned tree of mounts[\(index)]"
        case .terminal: "the terminal's master"
        case .hookEnd(let path): "the end of the hook \(path)"
        case .execution: "the beginning of the program"
        }
    }
}
#endif
