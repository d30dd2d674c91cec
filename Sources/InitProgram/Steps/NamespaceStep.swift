// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
package import SystemPackage

/// Steps that enter namespaces and set their properties.
package enum NamespaceStep: ChildStep {
    /// Enters a namespace that the parent opened.
    ///
    /// Kernel: setns(2).
    case joinNamespace(NamespaceKind)
    /// Enters the user namespace that the parent opened, and other namespaces owned by it or by an
    /// outer one: each is tried before it and, if refused, after it.
    ///
    /// Kernel: setns(2), user_namespaces(7).
    case joinUserNamespace(with: [NamespaceKind])
    /// Becomes a user and group of this process's user namespace: root or, if root is not mapped,
    /// the process's own. They own the files made from here on.
    case becomeNamespaceUser(NamespaceUser)
    /// Enters namespaces of a running container.
    ///
    /// Kernel: setns(2) on a pidfd, Linux 5.8.
    case joinProcess(NamespaceSet)
    /// Enters new namespaces.
    ///
    /// Kernel: unshare(2).
    case unshareNamespaces(NamespaceSet)
    /// Enters a new time namespace after writing its offsets.
    case enterNewTimeNamespace([TimeNamespaceOffset])
    /// Clones a second process that goes on in place of this one, as a child of the same parent:
    /// only children enter a joined pid namespace.
    ///
    /// Kernel: clone3(2) with CLONE_PARENT.
    case continueInChild(intoCgroup: Bool)
    /// Brings the loopback interface up.
    case bringUpLoopback
    /// Sends the parent an rtnetlink socket of the network namespace.
    ///
    /// Kernel: rtnetlink(7).
    case sendNetworkSocket
    /// Sets the host name.
    ///
    /// Kernel: sethostname(2).
    case setHostname(String)
    /// Sets the NIS domain name.
    ///
    /// Kernel: setdomainname(2).
    case setDomainname(String)
}

extension NamespaceStep {
    package var sentence: String {
        switch self {
        case .joinNamespace(let kind): "join the \(kind.rawValue) namespace"
        case .joinUserNamespace(let kinds):
            "join the user namespace"
                + (kinds.isEmpty
                    ? "" : ", and around it: \(kinds.map(\.rawValue).joined(separator: ", "))")
        case .becomeNamespaceUser(let user):
            "become user \(user.userID) and group \(user.groupID) of the user namespace"
        case .joinProcess(let kinds):
            "join the container's namespaces: \(kinds.list)"
        case .unshareNamespaces(let kinds): "enter new namespaces: \(kinds.list)"
        case .enterNewTimeNamespace(let offsets):
            "enter a new time namespace"
                + (offsets.isEmpty ? "" : ", its clocks shifted: ")
                + offsets.map { "\($0.clock) by \($0.seconds) s \($0.nanoseconds) ns" }
                .joined(separator: ", ")
        case .continueInChild: "go on in a second process"
        case .bringUpLoopback: "set the loopback interface up"
        case .sendNetworkSocket: "hand out a socket of the network namespace"
        case .setHostname(let name): "set the host name to \"\(name)\""
        case .setDomainname(let name): "set the domain name to \"\(name)\""
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .joinNamespace(let kind): [.namespace(kind.rawValue)]
        case .joinUserNamespace(let kinds):
            [.namespace(NamespaceKind.user.rawValue)] + kinds.map { .namespace($0.rawValue) }
        case .joinProcess: [.process]
        case .continueInChild(let intoCgroup):
            intoCgroup ? [.rendezvous, .cgroupDirectory] : [.rendezvous]
        case .sendNetworkSocket: [.rendezvous]
        case .becomeNamespaceUser, .unshareNamespaces, .enterNewTimeNamespace, .bringUpLoopback,
            .setHostname, .setDomainname:
            []
        }
    }

    package var exchanges: [Exchange] {
        switch self {
        case .continueInChild: [.sends(.secondProcess)]
        case .sendNetworkSocket: [.sends(.networkSocket)]
        case .joinNamespace, .joinUserNamespace, .joinProcess, .becomeNamespaceUser,
            .unshareNamespaces, .enterNewTimeNamespace, .bringUpLoopback, .setHostname,
            .setDomainname:
            []
        }
    }

    package var usesRoot: Bool { false }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .joinNamespace(let kind):
            let namespace = code.input(.namespace(kind.rawValue))
            code.call(.setns, [.cell(namespace), .namespaces([kind])])
        case .joinUserNamespace(let kinds): code.joinUserNamespace(with: kinds)
        case .becomeNamespaceUser(let user):
            code.call(.setgid, [.literal(Int(user.groupID))])
            code.call(.setuid, [.literal(Int(user.userID))])
        case .joinProcess(let kinds):
            let process = code.input(.process)
            code.call(.setns, [.cell(process), .namespaces(kinds)])
        case .unshareNamespaces(let kinds):
            code.call(.unshare, [.namespaces(kinds)])
        case .enterNewTimeNamespace(let offsets): code.enterNewTimeNamespace(offsets)
        case .continueInChild(let intoCgroup):
            code.continueInSibling(.empty, intoCgroup: intoCgroup, named: "second-process", .second)
        case .bringUpLoopback: code.bringUpLoopback()
        case .sendNetworkSocket: code.sendNetworkSocket()
        case .setHostname(let name):
            code.call(.sethostname, [code.text(name), .literal(name.utf8.count)])
        case .setDomainname(let name):
            code.call(.setdomainname, [code.text(name), .literal(name.utf8.count)])
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        switch (refusal.call, refusal.errno) {
        case ("clone3", _), ("unshare", _):
            newNamespacesHint(
                NamespaceKind.allCases.filter { refusal.names($0.cloneFlag) }, refusal.errno,
                lacks: refusal.lacks)
        case ("setns", .notPermitted):
            "it takes CAP_SYS_ADMIN in the user namespace that the namespace belongs to"
        case ("sethostname", .notPermitted), ("setdomainname", .notPermitted):
            "the uts namespace belongs to another user namespace than the process is in"
        default: refusal.idHint
        }
    }

    static let processHint =
        "no more processes are allowed (RLIMIT_NPROC, pids.max of the cgroup, sysctls "
        + "kernel.threads-max and kernel.pid_max)"

    /// The reason why a process gets no new namespaces.
    ///
    /// - Parameters:
    ///   - kinds: the kinds asked for.
    ///   - errno: the error that the kernel returned.
    ///   - lacks: whether this kernel lacks a kind of namespace.
    /// - Returns: the reason, or nil if the errno says enough.
    package static func newNamespacesHint(
        _ kinds: [NamespaceKind], _ errno: Errno, lacks: (NamespaceKind) -> Bool
    ) -> String? {
        switch errno {
        case .noSpace:
            return "the limit of a kind of namespaces is reached (sysctls user.max_*_namespaces), "
                + "or they are nested 32 deep"
        case .notPermitted where kinds.contains(.user):
            return
                "a process in a chroot, or whose own ids have no mapping, cannot make a user namespace, "
                + "nor can one to which the host denies it (sysctls kernel.unprivileged_userns_clone and "
                + "kernel.apparmor_restrict_unprivileged_userns)"
        case .notPermitted:
            return "without a user namespace in linux.namespaces it takes CAP_SYS_ADMIN"
        case .invalidArgument:
            let missing = kinds.filter(lacks)
            guard !missing.isEmpty else { return nil }
            return "this kernel has no namespaces of type "
                + missing.map(\.rawValue).joined(separator: ", ")
        case .resourceTemporarilyUnavailable: return processHint
        default: return nil
        }
    }
}

extension Assembler {
    /// Without rights over all of them, a namespace owned by an outer user namespace can only be
    /// joined before the user namespace, and one owned by that user namespace perhaps only after
    /// it.
    fileprivate mutating func joinUserNamespace(with kinds: [NamespaceKind]) {
        var attempts: [(NamespaceKind, Cell)] = []
        for kind in kinds {
            let joined = cell("\(kind.rawValue)-joined")
            let namespace = input(.namespace(kind.rawValue))
            call(
                .setns, [.cell(namespace), .namespaces([kind])], into: joined,
                ignoring: [.notPermitted])
            attempts.append((kind, joined))
        }
        call(.setns, [.cell(input(.namespace("user"))), .namespaces([.user])])
        for (kind, joined) in attempts {
            let done = skip(when: .isNotNegative(joined))
            call(.setns, [.cell(input(.namespace(kind.rawValue))), .namespaces([kind])])
            place(done)
        }
    }

    /// Uses paths of the host's procfs: this step runs before the root file system is touched.
    ///
    /// unshare(2) makes the time namespace for children only; a single-threaded process may then
    /// join it.
    fileprivate mutating func enterNewTimeNamespace(_ offsets: [TimeNamespaceOffset]) {
        call(.unshare, [.namespaces([.time])])
        if !offsets.isEmpty {
            let file = openHostFile("/proc/self/timens_offsets", "timens-offsets")
            let lines = offsets.map { "\($0.clock) \($0.seconds) \($0.nanoseconds)\n" }.joined()
            call(.write, [.cell(file), text(lines), .literal(lines.utf8.count)])
            call(.close, [.cell(file)])
        }
        let namespace = cell("time-namespace")
        open(text("/proc/self/ns/time_for_children"), .readOnly, into: namespace)
        call(.setns, [.cell(namespace), .namespaces([.time])])
        call(.close, [.cell(namespace)])
    }

    fileprivate mutating func sendNetworkSocket() {
        let socket = cell("network-socket")
        call(
            .socket,
            [
                .named(AddressFamily.netlink), .named(SocketType.raw()),
                .named(NetlinkProtocol.route),
            ], into: socket)
        sendDescriptor(socket, named: "rtnetlink", over: input(.rendezvous))
        call(.close, [.cell(socket)])
    }

    /// Sets IFF_UP|IFF_RUNNING on `lo` by SIOCSIFFLAGS.
    ///
    /// Kernel: netdevice(7).
    fileprivate mutating func bringUpLoopback() {
        let socket = cell("socket")
        call(
            .socket,
            [.named(AddressFamily.internet), .named(SocketType.datagram()), .literal(0)],
            into: socket)
        var request = [UInt8](repeating: 0, count: 40)
        request[0] = UInt8(ascii: "l")
        request[1] = UInt8(ascii: "o")
        request[16] = UInt8((InterfaceFlags.up | .running).rawValue)
        call(
            .ioctl,
            [.cell(socket), .named(DeviceRequest.setInterfaceFlags), .address(bytes(request))])
        call(.close, [.cell(socket)])
    }
}

extension Operand {
    static func namespaces(_ kinds: NamespaceSet) -> Operand { .named(kinds.cloneFlags) }
}

extension SystemCall {
    static var setdomainname: SystemCall { SystemCall("setdomainname", __NR_setdomainname) }
    static var sethostname: SystemCall { SystemCall("sethostname", __NR_sethostname) }
    static var setns: SystemCall { SystemCall("setns", __NR_setns) }
    static var socket: SystemCall { SystemCall("socket", __NR_socket) }
    static var unshare: SystemCall { SystemCall("unshare", __NR_unshare) }
}
#endif
