// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
package import KernelVocabulary

/// The kinds of namespace, in the spelling of the runtime-spec.
package enum NamespaceKind: String, Hashable, Sendable, CaseIterable {
    case user, pid, network, ipc, uts, mount, cgroup, time

    /// The clone flag of linux/sched.h.
    package var cloneFlag: CloneFlags {
        switch self {
        case .user: .newUser
        case .pid: .newPid
        case .network: .newNetwork
        case .ipc: .newIPC
        case .uts: .newUTS
        case .mount: .newMount
        case .cgroup: .newCgroup
        case .time: .newTime
        }
    }

    /// The file name under /proc/PID/ns.
    ///
    /// Kernel: namespaces(7).
    package var procName: String {
        switch self {
        case .user: "user"
        case .pid: "pid"
        case .network: "net"
        case .ipc: "ipc"
        case .uts: "uts"
        case .mount: "mnt"
        case .cgroup: "cgroup"
        case .time: "time"
        }
    }
}

/// A set of namespace kinds, stored as the clone flags of linux/sched.h.
package struct NamespaceSet: Hashable, Sendable, ExpressibleByArrayLiteral {
    /// The flags for clone3(2), unshare(2) and setns(2).
    package private(set) var cloneFlags: CloneFlags = .empty

    /// The kinds given.
    package init(arrayLiteral elements: NamespaceKind...) {
        for kind in elements { insert(kind) }
    }

    /// Whether the set is empty.
    package var isEmpty: Bool { cloneFlags.isEmpty }

    /// The kinds, in the order of `NamespaceKind`.
    package var kinds: [NamespaceKind] { NamespaceKind.allCases.filter { contains($0) } }

    /// Whether `kind` is in the set.
    package func contains(_ kind: NamespaceKind) -> Bool {
        cloneFlags.contains(kind.cloneFlag)
    }

    /// Adds `kind`.
    package mutating func insert(_ kind: NamespaceKind) {
        cloneFlags |= kind.cloneFlag
    }

    /// Removes `kind`.
    package mutating func remove(_ kind: NamespaceKind) {
        cloneFlags = cloneFlags.subtracting(kind.cloneFlag)
    }
}
#endif
