// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import SystemPackage

extension InitStep {
    func lowerNamespace(into code: inout Assembler, _ state: inout LoweringState) {
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
            code.continueInSibling([], intoCgroup: intoCgroup, named: "second-process", .second)
        case .bringUpLoopback: code.bringUpLoopback()
        case .sendNetworkSocket: code.sendNetworkSocket()
        case .setHostname(let name):
            code.call(.sethostname, [code.text(name), .literal(name.utf8.count)])
        case .setDomainname(let name):
            code.call(.setdomainname, [code.text(name), .literal(name.utf8.count)])
        default: break
        }
    }
}

extension Operand {
    static func namespaces(_ kinds: NamespaceSet) -> Operand {
        .named(kinds.cloneFlags)
    }
}

extension Assembler {
    /// A namespace may forbid setgroups(2), so the runtime's own groups are dropped outside of it.
    ///
    /// EPERM: who may not do so keeps the groups of the caller, as any of its processes does.
    mutating func dropGroups() {
        call(.setgroups, [.literal(0), .literal(0)], ignoring: [.notPermitted])
    }

    /// One that an outer user namespace owns can be joined before only, one that belongs to the joined
    /// user namespace perhaps after only: that is so for a runtime without rights over it.
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

    /// Paths of the host's procfs: this step comes before the root file system is touched.
    ///
    /// unshare(2) makes the namespace for children; a process of one thread may then join its own.
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

    /// SIOCSIFFLAGS with IFF_UP|IFF_RUNNING on `lo`.
    ///
    /// Kernel: netdevice(7).
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

    fileprivate mutating func bringUpLoopback() {
        let socket = cell("socket")
        call(
            .socket,
            [.named(AddressFamily.internet), .named(SocketType.datagram()), .literal(0)],
            into: socket)
        var request = [UInt8](repeating: 0, count: 40)
        request[0] = UInt8(ascii: "l")
        request[1] = UInt8(ascii: "o")
        request[16] = UInt8(InterfaceFlags([.up, .running]).rawValue)
        call(
            .ioctl,
            [.cell(socket), .named(DeviceRequest.setInterfaceFlags), .address(bytes(request))])
        call(.close, [.cell(socket)])
    }
}
