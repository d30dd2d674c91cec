// SPDX-License-Identifier: Apache-2.0

internal import InitProgram

// The listener of seccomp's notifications: found before anything is made, connected to before the
// child is cloned, and handed the descriptor when the child's filter is loaded.
extension Launcher {
    func findListener() throws(ContainerError) {
        try launch.listener?.find()
    }

    func connectListener() throws(ContainerError) {
        guard let listener = launch.listener else { return }
        try settleBirth()
        listenerConnection = own(try listener.connect())
    }

    func sendListener() throws(ContainerError) {
        guard let listener = launch.listener else { return }
        guard let number = SeccompListener.receiveNumber(from: rendezvous) else {
            throw childFailure()
        }
        disown(listenerConnection)
        try listener.hand(
            over: number, of: (pidfd, pid), to: OwnedDescriptor(taking: listenerConnection),
            resuming: rendezvous)
    }
}
