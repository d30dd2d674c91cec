// SPDX-License-Identifier: Apache-2.0

// Network: the devices of network namespaces.
//
//   NetDevices    moves devices into the container
//   NetworkLinks  queries and changes devices and their addresses

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import SystemPackage

/// Moves network devices of a launch from the runtime's network namespace to the container's.
///
/// The container's namespace is accessed by a socket that its init has made in it, so that no
/// thread of the runtime ever enters that namespace.
///
/// Spec: config-linux.md, Network Devices.
final class NetDevices {
    private var host: NetlinkSocket
    private var container: NetlinkSocket
    private let hostNamespace: CInt
    private let containerNamespace: CInt
    private var moved: [Moved] = []

    /// A device in the container, and its state on the host.
    private struct Moved {
        let name: String
        let before: NetworkLink
        let index: Int32
        let addresses: [NetworkAddress]
    }

    /// Takes over the socket of the container's namespace.
    init(container: consuming OwnedDescriptor) throws(SystemCallError) {
        self.container = try NetlinkSocket(taking: container)
        host = try NetlinkSocket()
        hostNamespace = try host.namespace().release()
        containerNamespace = try self.container.namespace().release()
    }

    deinit {
        _ = OwnedDescriptor(taking: hostNamespace)
        _ = OwnedDescriptor(taking: containerNamespace)
    }

    /// Moves a device, restores its addresses, and brings it up.
    ///
    /// Temporary addresses and those of a narrower scope are not restored, as with runc.
    func move(_ planned: NetDeviceMove) throws(ContainerError) {
        let field = planned.field
        let before: NetworkLink
        do {
            before = try host.link(named: planned.name)
        } catch  where error.errno == .operationNotSupportedByDevice {
            throw ContainerError(
                .systemCall,
                "there is no network device \"\(planned.name)\" in the network namespace of the "
                    + "runtime", field: field, failure: error)
        } catch {
            throw ContainerError(error, field: field)
        }
        let message = "unable to move the network device \(planned.name)"
        do throws(SystemCallError) {
            let addresses = try host.addresses(of: before.index)
                .filter { $0.isPermanent && $0.scope == 0 }
            // The kernel would report this only after the device has left its namespace.
            guard (try? container.link(named: planned.newName)) == nil else {
                throw SystemCallError("RTM_NEWLINK", "\"\(planned.newName)\"", errno: .fileExists)
            }
            try host.moveLink(before.index, to: containerNamespace, named: planned.newName)
            let link = try container.link(named: planned.newName)
            moved.append(
                Moved(
                    name: planned.name, before: before, index: link.index, addresses: addresses))
            for address in addresses { try container.add(address, to: link.index) }
            try container.setUp(link.index)
        } catch {
            throw ContainerError(error, message, field: field)
        }
    }

    /// Moves the devices back, the last one first; a device that cannot be moved is left to the
    /// kernel.
    ///
    /// When the network namespace ends, a physical device returns to the initial one, and a virtual
    /// device is deleted.
    func takeBack() {
        for device in moved.reversed() {
            do {
                try container.moveLink(device.index, to: hostNamespace, named: device.name)
            } catch {
                continue
            }
            guard let link = try? host.link(named: device.name) else { continue }
            let kept = (try? host.addresses(of: link.index)) ?? []
            for address in device.addresses where !kept.contains(address) {
                try? host.add(address, to: link.index)
            }
            if device.before.isUp { try? host.setUp(link.index) }
        }
        moved = []
    }
}
#endif
