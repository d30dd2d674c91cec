// SPDX-License-Identifier: Apache-2.0

/// The kinds of namespace, in the spelling of the runtime-spec.
package enum NamespaceKind: String, Hashable, Sendable, CaseIterable {
    case user, pid, network, ipc, uts, mount, cgroup, time

    /// The clone flag of linux/sched.h.
    package var cloneFlag: UInt64 {
        switch self {
        case .user: 0x1000_0000
        case .pid: 0x2000_0000
        case .network: 0x4000_0000
        case .ipc: 0x0800_0000
        case .uts: 0x0400_0000
        case .mount: 0x0002_0000
        case .cgroup: 0x0200_0000
        case .time: 0x80
        }
    }

    /// The name of the flag in linux/sched.h.
    package var cloneFlagName: String {
        switch self {
        case .user: "CLONE_NEWUSER"
        case .pid: "CLONE_NEWPID"
        case .network: "CLONE_NEWNET"
        case .ipc: "CLONE_NEWIPC"
        case .uts: "CLONE_NEWUTS"
        case .mount: "CLONE_NEWNS"
        case .cgroup: "CLONE_NEWCGROUP"
        case .time: "CLONE_NEWTIME"
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

/// Some kinds of namespace, as the clone flags of linux/sched.h.
package struct NamespaceSet: Hashable, Sendable, ExpressibleByArrayLiteral {
    /// The flags, ready for clone3(2), unshare(2) and setns(2).
    package private(set) var cloneFlags: UInt64 = 0

    /// The kinds given.
    package init(arrayLiteral elements: NamespaceKind...) {
        for kind in elements { insert(kind) }
    }

    /// Whether there is none.
    package var isEmpty: Bool { cloneFlags == 0 }

    /// The kinds, in the order of `NamespaceKind`.
    package var kinds: [NamespaceKind] { NamespaceKind.allCases.filter { contains($0) } }

    /// Whether `kind` is among them.
    package func contains(_ kind: NamespaceKind) -> Bool {
        cloneFlags & kind.cloneFlag != 0
    }

    /// Adds `kind`.
    package mutating func insert(_ kind: NamespaceKind) {
        cloneFlags |= kind.cloneFlag
    }

    /// Takes `kind` out.
    package mutating func remove(_ kind: NamespaceKind) {
        cloneFlags &= ~kind.cloneFlag
    }
}
