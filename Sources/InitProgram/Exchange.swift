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
    /// A mount at its place in a running container.
    case attachedMount(String)
    /// The master of the terminal.
    case terminal
    /// How a hook ended.
    case hookEnd(String)
    /// The program runs: execve has closed the rendezvous.
    case execution
    /// A child without a program has ended, which has closed the rendezvous.
    case end
}

/// The events in the parent that a child waits for, in the words that `explain` prints.
package enum ParentEvent: String, Equatable, Sendable {
    /// The parent has put the child into its cgroup.
    case cgroupEntered = "it is in its cgroup"
    /// The child's user namespace has its ID maps.
    case userMapped = "its user namespace has its ID maps"
    /// The hooks that the parent runs have ended.
    case hooked = "its hooks have run"
    /// The parent knows the second process, which goes on in place of the first.
    case adopted = "the second process is taken over"
    /// The network devices are in the container.
    case devicesMoved = "its network devices are there"
    /// The file IDs of a mount are mapped.
    case mountMapped = "the IDs of the mount are mapped"
    /// Everything is ready: become the user's process.
    case start
}

/// The reports of a child; the raw value is the byte sent.
package enum ChildEvent: UInt8, Equatable, Sendable {
    /// Everything but the last steps is done.
    case ready = 1
    /// The mounts are made; the root is not entered yet.
    case mounted = 2
    /// The filter is loaded; the number of its listener follows.
    case listening = 3
    /// A mount point is behind a dangling link: the rest of a `MountPointRequest` follows.
    case mountPointMissing = 4
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
        case .attachedMount(let path): "the mount at \(path)"
        case .terminal: "the terminal's master"
        case .hookEnd(let path): "the end of the hook \(path)"
        case .execution: "the beginning of the program"
        case .end: "the child's end"
        }
    }
}
#endif
