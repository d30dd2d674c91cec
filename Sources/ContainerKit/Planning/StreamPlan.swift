// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// A standard stream of the caller that needs treatment: not a file, a directory, or a device that
/// has a state.
struct StandardStream: Equatable, Sendable {
    /// 0, 1 or 2.
    let number: Int
    let kind: Kind
    /// The owner as the runtime sees it.
    let owner: UInt32

    enum Kind: Equatable, Sendable {
        /// A device of `StatelessDevice`, and the status flags with which it is open.
        case device(StatelessDevice, flags: OpenFlags)
        case pipe
        case socket
        case terminal
    }
}

/// The devices of major number 1 that have no state; the raw value is the minor number.
///
/// Source: Documentation/admin-guide/devices.txt.
enum StatelessDevice: UInt32, CaseIterable, Sendable {
    case null = 3
    case zero = 5
    case full = 7
    case random = 8
    case urandom = 9

    /// The name below /dev.
    var name: String {
        switch self {
        case .null: "null"
        case .zero: "zero"
        case .full: "full"
        case .random: "random"
        case .urandom: "urandom"
        }
    }
}

/// What is done with the standard streams.
///
/// Pipes, sockets and terminals are given to the process's user, who could not reopen them by
/// /dev/stdin and the like otherwise. Files keep their owner, and so does everything else with a
/// name on the host. runc gives files away as well, but in the foreground it has none, because it
/// copies.
///
/// A device such as /dev/null is reopened inside: its owner, the container's root, could change the
/// host's node. In a user namespace the nodes are the host's anyway, and their owner is not mapped.
struct StreamPlan: Equatable, Sendable {
    private var reopened: [DeviceStreams] = []
    private var owned: [Int] = []
    private var given: [Int] = []
    private var userID: UInt32 = 0
    private var owner = StreamOwner.user(0)

    /// Does nothing.
    init() {}

    /// The plan for the streams of a new container's process.
    init(
        _ process: Process, _ streams: [StandardStream], _ rights: RuntimeRights,
        _ userNamespace: UserNamespacePlan?
    ) {
        self.init(process, streams, rights, entersUserNamespace: userNamespace != nil)
        guard let userNamespace, userNamespace.isNew, let maps = userNamespace.maps else { return }
        guard let id = maps.users.outside(userID) else {
            // If the user is not mapped, the process cannot become that user either.
            given = []
            return
        }
        give(streams, rights, to: id)
    }

    /// The plan for the streams of another process.
    init(
        _ process: Process, _ streams: [StandardStream], _ rights: RuntimeRights,
        entersUserNamespace: Bool
    ) {
        userID = process.user.uid
        if process.terminal {
            // The terminal is its own, and the child has made it as root.
            if userID != 0 { owned = [0] }
            return
        }
        if !entersUserNamespace, !rights.isInUserNamespace {
            addDevices(streams)
        }
        if rights.userID != 0 {
            // Only the child has the rights; a terminal could not be given back.
            owned = streams.compactMap {
                $0.kind == .pipe || $0.kind == .socket ? $0.number : nil
            }
            if userID == 0 { owned = [] }
        } else if entersUserNamespace {
            owner = .childUser(userID)
            given = streams.filter(\.canBeGiven).map(\.number)
        } else {
            give(streams, rights, to: userID)
        }
    }

    private mutating func give(
        _ streams: [StandardStream], _ rights: RuntimeRights, to id: UInt32
    ) {
        guard rights.userID == 0 else { return }
        owner = .user(id)
        given = streams.filter { $0.canBeGiven && $0.owner != id }.map(\.number)
    }

    private mutating func addDevices(_ streams: [StandardStream]) {
        for stream in streams {
            guard case .device(let device, let flags) = stream.kind else { continue }
            let isSame = reopened.firstIndex {
                $0.minor == Int(device.rawValue) && $0.flags == flags
            }
            if let isSame {
                reopened[isSame].streams.append(stream.number)
            } else {
                reopened.append(
                    DeviceStreams(
                        [stream.number], name: device.name, minor: Int(device.rawValue),
                        flags: flags))
            }
        }
    }

    /// Adds the child's steps.
    func addSteps(to steps: inout StepList) {
        if !reopened.isEmpty { steps.add(.stream(.reopenStreams(reopened)), from: .runtime) }
        if !owned.isEmpty {
            steps.add(.stream(.ownStandardStreams(owned, userID: userID)), from: "process.user.uid")
        }
    }

    /// The parent's steps once the child is prepared, and so in its user namespace.
    var parentSteps: [PlannedParentStep] {
        guard !given.isEmpty else { return [] }
        return [
            PlannedParentStep("process.user.uid", .streams(.give(given, to: owner)))
        ]
    }
}

extension StandardStream {
    fileprivate var canBeGiven: Bool { kind == .pipe || kind == .socket || kind == .terminal }
}
#endif
