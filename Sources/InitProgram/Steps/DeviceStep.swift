// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Steps that give the container its devices.
package enum DeviceStep: ChildStep {
    /// Makes device nodes, all in one directory.
    case makeDevices(directory: String, [Device])
    /// Attaches device nodes in one directory, made or taken from the host by the parent: no
    /// process may make a device in a user namespace.
    case attachDevices(directory: String, [AttachedDevice])
}

extension DeviceStep {
    package var sentence: String {
        switch self {
        case .makeDevices(let directory, let devices):
            "make the devices "
                + devices.map { device in
                    "\(directory)/\(device.name) (\(device.major):\(device.minor), mode "
                        + "\(String(device.permissions, radix: 8)))"
                }.joined(separator: ", ")
        case .attachDevices(let directory, let devices):
            "attach the devices "
                + devices.map { "\(directory)/\($0.name)" }.joined(separator: ", ")
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .attachDevices(_, let devices): devices.map { .mountTree($0.tree) } + [.rendezvous]
        case .makeDevices: [.rendezvous]
        }
    }

    package var exchanges: [Exchange] { [] }
    package var usesRoot: Bool { true }

    package var usedMount: String? {
        switch self {
        case .makeDevices(let directory, _), .attachDevices(let directory, _): directory
        }
    }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .makeDevices(let path, let devices):
            code.withDirectory(path, state) { code, directory in
                for device in devices { code.makeDevice(device, in: directory, path) }
            }
        case .attachDevices(let path, let devices):
            code.withDirectory(path, state) { code, directory in
                for device in devices { code.attachDevice(device, in: directory) }
            }
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        switch (refusal.call, refusal.errno) {
        case ("mknodat", .notPermitted):
            "to make a device takes CAP_MKNOD outside of any user namespace, and a cgroup that permits it"
        default: refusal.mountHint
        }
    }
}

extension Assembler {
    /// Makes a device node.
    ///
    /// An existing node must be the same device and stays unchanged; with `keepsExisting` whatever
    /// is there stays unchecked. The owner is set by descriptor, so that no other file can be hit.
    mutating func makeDevice(_ device: Device, in directory: Cell, _ path: String) {
        let name = device.name
        let made = cell("made")
        call(
            .mknodat,
            [
                .cell(directory), text(name), .named(device.mode),
                .named(device.number),
            ], into: made, ignoring: [.fileExists])
        if device.keepsExisting { return }
        let isRoots = device.userID == 0 && device.groupID == 0
        let isNew = isRoots ? skip(when: .isNotNegative(made)) : nil
        let node = cell("node")
        openName(name, in: directory, into: node)
        requireSame(device, at: node, "\(path == "/" ? "" : path)/\(name)")
        if !isRoots {
            let wasThere = skip(when: .isNegative(made))
            call(
                .fchownat,
                [
                    .cell(node), text(""), .literal(Int(device.userID)),
                    .literal(Int(device.groupID)), .named(PathFlags.emptyPath),
                ])
            place(wasThere)
        }
        close(node)
        if let isNew { place(isNew) }
    }

    private mutating func requireSame(_ device: Device, at node: Cell, _ path: String) {
        let status = scratch()
        statx(.cell(node), into: status)
        let sameKind = skip(when: .isFile(status, device.type))
        refuse("\(path) exists and is not a device of the type asked for")
        place(sameKind)
        guard device.type != .fifo else { return }
        let same = skip(when: .isDevice(status, Int(device.major), Int(device.minor)))
        let wanted = Int(device.major).decimalText + ":" + Int(device.minor).decimalText
        refuse("\(path) exists and is another device than \(wanted)")
        place(same)
    }

    fileprivate mutating func attachDevice(_ device: AttachedDevice, in directory: Cell) {
        let target = resolveNode(device.name, in: directory)
        let tree = input(.mountTree(device.tree))
        if device.isMade {
            let node = cloneNode(device.name, of: tree)
            moveMount(node, onto: target)
            close(node)
        } else {
            moveMount(tree, onto: target)
        }
        close(tree)
        close(target)
    }

    /// Clones a mount of the node alone.
    ///
    /// Only an attached mount can be cloned. So the tmpfs is attached over the old root for that
    /// moment; this process stays in the directory below it.
    private mutating func cloneNode(_ name: String, of tmpfs: Cell) -> Cell {
        let oldRoot = openDirectory("/", "old-root")
        moveMount(tmpfs, onto: oldRoot)
        let made = cell("made-node")
        openName(name, in: tmpfs, into: made)
        let node = cloneTree(made)
        close(made)
        call(.fchdir, [.cell(tmpfs)])
        call(.umount2, [text("."), .named(UnmountFlags.detach)])
        call(.fchdir, [.cell(oldRoot)])
        close(oldRoot)
        return node
    }
}

extension SystemCall {
    static var fchownat: SystemCall { SystemCall("fchownat", __NR_fchownat) }
}
#endif
