// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

/// A network device in its namespace.
struct NetworkLink: Equatable, Sendable {
    /// The device's index in the namespace.
    let index: Int32
    /// Whether it is up.
    let isUp: Bool
}

/// An address of a network device.
struct NetworkAddress: Equatable, Sendable {
    /// AF_INET or AF_INET6.
    let family: UInt8
    /// The length of the network's prefix, in bits.
    let prefixLength: UInt8
    /// The address itself.
    ///
    /// Kernel: IFA_LOCAL, else IFA_ADDRESS.
    let local: [UInt8]
    /// The other end of a point-to-point connection, or the address again.
    ///
    /// Kernel: IFA_ADDRESS.
    let peer: [UInt8]
    /// The broadcast address; nil if there is none.
    let broadcast: [UInt8]?

    /// Whether the address is permanent; others are renewed by other programs.
    let isPermanent: Bool
    /// The scope; RT_SCOPE_UNIVERSE is 0.
    let scope: UInt8
}

extension NetworkAddress: CustomStringConvertible {
    /// The address in its usual form, IPv6 without abbreviations.
    var description: String {
        guard family == 10 else {
            return local.map(String.init).joined(separator: ".") + "/\(prefixLength)"
        }
        let words = stride(from: 0, to: local.count - 1, by: 2).map {
            String(UInt16(local[$0]) << 8 | UInt16(local[$0 + 1]), radix: 16)
        }
        return words.joined(separator: ":") + "/\(prefixLength)"
    }
}

extension NetlinkSocket {
    /// The device with this name.
    ///
    /// Kernel: RTM_GETLINK.
    mutating func link(named name: String) throws(SystemCallError) -> NetworkLink {
        var request = Self.linkRequest(NetlinkNumber.getLink, index: 0)
        request.append(LinkAttribute.name, Array(name.utf8) + [0])
        let answers = try send(request, "RTM_GETLINK", "\"\(name)\"")
        // struct ifinfomsg: family 1, padding 1, type 2, index 4, flags 4, change 4.
        guard let answer = answers.first(where: { $0.type == NetlinkNumber.newLink }),
            let index = answer.payload.number(at: 4, as: Int32.self),
            let flags = answer.payload.number(at: 8, as: UInt32.self)
        else { throw SystemCallError("RTM_GETLINK", "\"\(name)\"", errno: .badMessage) }
        return NetworkLink(index: index, isUp: flags & 1 != 0)
    }

    /// The addresses of a device, in the kernel's order.
    ///
    /// Kernel: RTM_GETADDR.
    mutating func addresses(of index: Int32) throws(SystemCallError) -> [NetworkAddress] {
        var request = NetlinkMessage(
            NetlinkNumber.getAddress, NetlinkNumber.request | NetlinkNumber.dump)
        // struct ifaddrmsg: family 1, prefix 1, flags 1, scope 1, index 4.
        request.append(UInt64(0))
        return try send(request, "RTM_GETADDR", "device \(index)").compactMap { answer in
            NetworkAddress(answer, of: index)
        }
    }

    /// Moves a device to another namespace, under a given name.
    ///
    /// It loses its addresses and is down afterwards. Kernel: RTM_NEWLINK with IFLA_NET_NS_FD.
    mutating func moveLink(
        _ index: Int32, to namespace: CInt, named name: String
    ) throws(SystemCallError) {
        var request = Self.linkRequest(NetlinkNumber.newLink, index: index)
        request.append(LinkAttribute.name, Array(name.utf8) + [0])
        request.append(LinkAttribute.namespace, number: UInt32(bitPattern: namespace))
        _ = try send(request, "RTM_NEWLINK", "\"\(name)\", into another network namespace")
    }

    /// Brings a device up.
    mutating func setUp(_ index: Int32) throws(SystemCallError) {
        _ = try send(
            Self.linkRequest(NetlinkNumber.newLink, index: index, flags: 1, change: 1),
            "RTM_NEWLINK", "device \(index), up")
    }

    /// Adds an address to a device.
    ///
    /// Kernel: RTM_NEWADDR.
    mutating func add(_ address: NetworkAddress, to index: Int32) throws(SystemCallError) {
        var request = NetlinkMessage(
            NetlinkNumber.newAddress,
            NetlinkNumber.request | NetlinkNumber.acknowledge | NetlinkNumber.createNew)
        request.append(address.family)
        request.append(address.prefixLength)
        request.append(UInt8(0))
        request.append(address.scope)
        request.append(index)
        request.append(AddressAttribute.local, address.local)
        request.append(AddressAttribute.address, address.peer)
        if let broadcast = address.broadcast {
            request.append(AddressAttribute.broadcast, broadcast)
        }
        _ = try send(request, "RTM_NEWADDR", "\(address)")
    }

    private static func linkRequest(
        _ type: UInt16, index: Int32, flags: UInt32 = 0, change: UInt32 = 0
    ) -> NetlinkMessage {
        var request = NetlinkMessage(type, NetlinkNumber.request | NetlinkNumber.acknowledge)
        request.append(UInt32(0))
        request.append(index)
        request.append(flags)
        request.append(change)
        return request
    }
}

extension NetworkAddress {
    /// Parses an address from a dump; nil if it is another device's, or not an address.
    init?(_ answer: NetlinkMessage, of index: Int32) {
        let attributes = 8
        guard answer.type == NetlinkNumber.newAddress,
            answer.payload.number(at: 4, as: Int32.self) == index,
            let family = answer.payload.first, family == 2 || family == 10,
            let peer = answer.attribute(AddressAttribute.address, after: attributes)
                ?? answer.attribute(AddressAttribute.local, after: attributes),
            peer.count == (family == 2 ? 4 : 16)
        else { return nil }
        let local = answer.attribute(AddressAttribute.local, after: attributes) ?? peer
        guard local.count == peer.count else { return nil }
        // The 32-bit flags, if present, replace the 8-bit flags of the structure.
        let flags =
            answer.attribute(AddressAttribute.flags, after: attributes)
            .flatMap { $0.number(at: 0, as: UInt32.self) } ?? UInt32(answer.payload[2])
        self.init(
            family: family, prefixLength: answer.payload[1], local: local, peer: peer,
            broadcast: answer.attribute(AddressAttribute.broadcast, after: attributes),
            isPermanent: AddressFlags(rawValue: Int(flags)).contains(.permanent),
            scope: answer.payload[3])
    }
}

/// Source: linux/if_link.h, IFLA_*.
private enum LinkAttribute {
    static let name: UInt16 = 3
    static let namespace: UInt16 = 28
}

/// Source: linux/if_addr.h, IFA_*.
private enum AddressAttribute {
    static let address: UInt16 = 1
    static let local: UInt16 = 2
    static let broadcast: UInt16 = 4
    static let flags: UInt16 = 8
}
#endif
