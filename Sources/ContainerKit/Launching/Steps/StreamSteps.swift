// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// Steps for standard streams of the caller.
enum ParentStreamStep: ParentAction {
    /// Makes the child's user the owner of streams, which it could not reopen otherwise.
    case give([Int], to: StreamOwner)

    var sentence: String {
        switch self {
        case .give(let streams, let owner):
            (streams.count == 1 ? "give the standard stream " : "give the standard streams ")
                + streams.map { "\($0)" }.joined(separator: ", ") + " to \(owner.words)"
        }
    }

    var exchanges: [Exchange] { [] }
    var provides: [InheritedDescriptor] { [] }

    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError) {
        switch self {
        case .give(let streams, let owner): try launcher.giveStreams(streams, to: owner)
        }
    }
}

extension Launcher {
    /// Makes the process's user the owner of streams; one that cannot be changed keeps its owner.
    fileprivate func giveStreams(_ streams: [Int], to owner: StreamOwner) throws(ContainerError) {
        let user: UInt32
        switch owner {
        case .user(let id): user = id
        case .childUser(let id):
            // The process cannot become a user that is not mapped either.
            guard let id = (try? IDMaps.read(of: pid))?.users.outside(id) else { return }
            user = id
        }
        for stream in streams {
            let descriptor = inputs[.standardStream(stream)] ?? CInt(stream)
            try reporting("unable to give standard stream \(stream) to user \(user)") {
                () throws(SystemCallError) in
                try giveStream(descriptor, to: user)
            }
        }
    }

    private func giveStream(_ descriptor: CInt, to user: UInt32) throws(SystemCallError) {
        let status = try status(of: descriptor)
        guard status.stx_uid != user else { return }
        do throws(SystemCallError) {
            try changeOwner(of: descriptor, to: user)
        } catch  where [.notPermitted, .readOnlyFileSystem].contains(error.errno) {
            return
        }
        var stream = GivenStream(descriptor: descriptor, former: status.stx_uid, user: user)
        if status.kind == .characterDevice {
            // A terminal is given back when the process ends, after the launcher has closed its own
            // copy.
            stream.descriptor = own(try duplicate(descriptor, from: 3))
            givenTerminals.append(stream)
        }
        let given = stream
        takeBackOnFailure(whileOpen: true) { _ in given.giveBack() }
    }
}

extension StreamOwner {
    fileprivate var words: String {
        switch self {
        case .user(let id): "user \(id)"
        case .childUser(let id): "user \(id) of the child's user namespace"
        }
    }
}
#endif
