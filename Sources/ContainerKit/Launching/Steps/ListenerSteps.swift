// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram

/// Steps for the listener of seccomp notifications.
///
/// It is found before anything is made, connected to before the child is cloned, and gets the
/// descriptor once the child's filter is loaded.
enum ListenerStep: ParentAction {
    /// Checks that its socket exists; `start` will connect to it.
    case find(SeccompListener)
    /// Connects to its socket.
    case connect(SeccompListener)
    /// Waits for the child's descriptor and sends it to the listener.
    case send(SeccompListener)

    var sentence: String {
        switch self {
        case .find(let listener): "look for the seccomp listener \(listener.path)"
        case .connect(let listener): "connect to the seccomp listener \(listener.path)"
        case .send: "send the listener its descriptor and let the child go on"
        }
    }

    var exchanges: [Exchange] {
        switch self {
        case .find, .connect: []
        case .send: [.receives(.report(.listening)), .sends(.listenerTaken)]
        }
    }

    var provides: [InheritedDescriptor] { [] }

    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError) {
        switch self {
        case .find(let listener): try listener.find()
        case .connect(let listener):
            try launcher.decideOnSealedStart()
            launcher.listenerConnection = launcher.own(
                try listener.connect(before: launcher.options.timeLimit?.deadline))
        case .send(let listener): try launcher.send(listener)
        }
    }
}

extension Launcher {
    fileprivate func send(_ listener: SeccompListener) throws(ContainerError) {
        try awaitChild()
        guard let number = SeccompListener.receiveNumber(from: rendezvous) else {
            throw childFailure()
        }
        disown(listenerConnection)
        try listener.hand(
            over: number, of: (pidfd, pid), to: OwnedDescriptor(taking: listenerConnection),
            resuming: rendezvous)
    }
}
#endif
