// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import SystemPackage

extension InitStep {
    func lowerFile(into code: inout Assembler, _ state: inout LoweringState) {
        let root = state.root
        switch self {
        case .makeLinks(let path, let links):
            code.withDirectory(path, state) { $0.makeLinks($1, links) }
        case .copyLink(let path, let link):
            code.withDirectory(path, state) { $0.copyLink($1, link, path) }
        case .makeDevices(let path, let devices):
            code.withDirectory(path, state) { code, directory in
                for device in devices { code.makeDevice(device, in: directory, path) }
            }
        case .attachDevices(let path, let devices):
            code.withDirectory(path, state) { code, directory in
                for device in devices { code.attachDevice(device, in: directory) }
            }
        case .setSysctl(let parameters): code.setSysctl(parameters)
        case .openTerminal(let request): code.openTerminal(request, state)
        case .makeDirectory(let path): code.makeDirectory(path, root)
        case .tryDirectory(let path): state.triedDirectory = code.tryDirectory(path, root)
        case .enterDirectory(let path): code.enterDirectory(path, root, state.triedDirectory)
        default: break
        }
    }
}

extension Assembler {
    /// Uses the directory at `path`, made when missing.
    ///
    /// A mount of the config is used by its descriptor: through a symbolic link of the image another
    /// mount may be on the path, with files of the host.
    fileprivate mutating func withDirectory(
        _ path: String, _ state: LoweringState, _ body: (inout Assembler, Cell) -> Void
    ) {
        if let mount = state.mount(at: path) {
            body(&self, mount)
            return
        }
        let directory = resolveMaking(path, below: state.root, kind: .directory, source: nil)
        body(&self, directory)
        call(.close, [.cell(directory)])
    }

    fileprivate mutating func makeDirectory(_ path: String, _ root: Cell) {
        let directory = resolveMaking(path, below: root, kind: .directory, source: nil)
        call(.close, [.cell(directory)])
    }

    fileprivate mutating func makeLinks(_ directory: Cell, _ links: [SymbolicLink]) {
        for link in links {
            call(
                .symlinkat, [text(link.target), .cell(directory), text(link.name)],
                ignoring: [.fileExists])
        }
    }

    /// The text of a link that is there is compared eight bytes at a time.
    fileprivate mutating func copyLink(_ directory: Cell, _ link: SymbolicLink, _ path: String) {
        let made = cell("made")
        call(
            .symlinkat, [text(link.target), .cell(directory), text(link.name)], into: made,
            ignoring: [.fileExists])
        let isNew = skip(when: .isNotNegative(made))
        let wanted = Array(link.target.utf8)
        // One byte more than wanted, so that a longer one is told apart.
        let found = reserve((wanted.count + 8) / 8 * 8)
        let count = cell("link-length")
        call(
            .readlinkat,
            [
                .cell(directory), text(link.name), .address(found), .literal(wanted.count + 1),
            ], into: count, ignoring: [.invalidArgument])
        let note =
            "\(path == "/" ? "" : path)/\(link.name) exists and is not a link to \(link.target)"
        let sameLength = skip(when: .equals(count, wanted.count))
        refuse(note)
        place(sameLength)
        for start in stride(from: 0, to: wanted.count, by: 8) {
            let bytes = wanted[start..<min(start + 8, wanted.count)]
            let word = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let same = skip(
                when: .memory(found + start, mask: -1, value: Int(bitPattern: UInt(word))))
            refuse(note)
            place(same)
        }
        place(isNew)
    }

    /// A node that exists already is used only when it is the same device, and stays as it is; one that
    /// gives way needs no look at what is there.
    ///
    /// It is given away by descriptor, so that nothing else gets another owner.
    fileprivate mutating func makeDevice(_ device: Device, in directory: Cell, _ path: String) {
        let name = device.name
        let made = cell("made")
        call(
            .mknodat,
            [
                .cell(directory), text(name), .named(device.mode),
                .literal(device.number),
            ], into: made, ignoring: [.fileExists])
        if device.givesWay { return }
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

    /// Through a procfs instance that is attached nowhere: what the container mounted on /proc cannot
    /// redirect the write (CVE-2025-52881).
    fileprivate mutating func setSysctl(_ parameters: [KernelParameter]) {
        let proc = newFilesystem("proc", source: "proc", options: [], attributes: [])
        for parameter in parameters {
            let file = cell("sysctl")
            resolve(
                "sys/" + parameter.path, below: proc, into: file, flags: .writeOnly,
                resolution: .beneath)
            call(
                .write,
                [.cell(file), text(parameter.value), .literal(parameter.value.utf8.count)])
            call(.close, [.cell(file)])
        }
        call(.close, [.cell(proc)])
    }

    // MARK: The working directory

    /// The descriptor was resolved inside the root, so the directory is inside, whatever a rename race
    /// or a leaked descriptor would make of the path (CVE-2024-21626).
    fileprivate mutating func enterDirectory(_ path: String, _ root: Cell, _ tried: Cell?) {
        let isEntered = tried.map { skip(when: .isNotNegative($0)) }
        let directory = cell("working-directory")
        resolveDirectory(path, root, into: directory)
        call(.fchdir, [.cell(directory)], note: Self.directoryNote(path))
        call(.close, [.cell(directory)])
        if let isEntered { place(isEntered) }
    }

    /// A refusal (EACCES, EPERM) is kept in the result; the two calls behind it meet EBADF then.
    fileprivate mutating func tryDirectory(_ path: String, _ root: Cell) -> Cell {
        let directory = cell("working-directory")
        let result = cell("entered")
        let refused: [Errno] = [.permissionDenied, .notPermitted]
        resolveDirectory(path, root, into: directory, ignoring: refused)
        call(.fchdir, [.cell(directory)], into: result, ignoring: refused + [.badFileDescriptor])
        call(.close, [.cell(directory)], ignoring: [.badFileDescriptor])
        return result
    }

    private mutating func resolveDirectory(
        _ path: String, _ root: Cell, into directory: Cell, ignoring: [Errno] = []
    ) {
        let inner = path.rootedComponents.relativePath
        resolve(
            inner.isEmpty ? "." : inner, below: root, into: directory,
            flags: [.pathOnly, .directory], ignoring: ignoring,
            note: Self.directoryNote(path))
    }

    private static func directoryNote(_ path: String) -> String {
        "chdir to cwd (\"\(path)\")"
    }

    // MARK: The terminal

    /// Kernel: pts(4), ioctl_tty(2).
    ///
    /// The ptmx is the container's own: in a directory that is verified to belong to a devpts, which has
    /// no links and no other file of that name, it is opened only then.
    fileprivate mutating func openTerminal(
        _ request: TerminalRequest, _ state: LoweringState
    ) {
        let directory = cell("devpts")
        let master = cell("terminal-master")
        let slave = cell("terminal-slave")
        let note = "open /dev/pts/ptmx (process.terminal needs a devpts mount on /dev/pts)"
        resolve(
            "dev/pts", below: state.root, into: directory, flags: [.pathOnly, .directory],
            note: note)
        let statistics = scratch()
        call(.fstatfs, [.cell(directory), .address(statistics)])
        let isDevpts = skip(when: .isFilesystem(statistics, .devpts))
        refuse("/dev/pts is not a devpts file system")
        place(isDevpts)
        resolve(
            "ptmx", below: directory, into: master, flags: Self.terminalFlags,
            resolution: .beneath, note: note)
        close(directory)
        let zero = words([0])
        call(.ioctl, [.cell(master), .named(DeviceRequest.lockTerminal), .address(zero)])
        call(
            .ioctl,
            [
                .cell(master), .named(DeviceRequest.openPeer), .named(Self.terminalFlags),
            ], into: slave)
        setSize(of: slave, request)
        if request.mountsConsole {
            withDirectory("/dev", state) { $0.mountConsole(slave, in: $1) }
        }
        sendDescriptor(
            master, over: input(request.toConsoleSocket ? .consoleSocket : .rendezvous))
        call(.close, [.cell(master)])
        for stream in 0...2 {
            call(.dup3, [.cell(slave), .literal(stream), .literal(0)])
        }
        call(.close, [.cell(slave)])
        call(.ioctl, [.literal(0), .named(DeviceRequest.becomeControllingTerminal), .literal(0)])
    }

    private static let terminalFlags: OpenFlags = [.readWrite, .noTerminal, .closeOnExec]

    /// The modes stay the kernel's own, ONLCR too: who has the master decides, and Docker's client, for
    /// one, counts on "\r\n".
    private mutating func setSize(of slave: Cell, _ request: TerminalRequest) {
        guard let rows = request.rows, let columns = request.columns else { return }
        let size = words([UInt64(rows) | UInt64(columns) << 16])
        call(.ioctl, [.cell(slave), .named(DeviceRequest.setWindowSize), .address(size)])
    }

    /// The slave goes onto /dev/console by descriptor: its path could be swapped (CVE-2025-52565).
    private mutating func mountConsole(_ slave: Cell, in directory: Cell) {
        let target = resolveNode("console", in: directory)
        let console = cloneTree(slave)
        moveMount(console, onto: target)
        close(console)
        close(target)
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

    /// A mount of the node alone.
    ///
    /// Only what is attached can be cloned, so for that moment the tmpfs is over the old root, which this
    /// process stays below.
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

    /// The file of this name, made when missing; it is no link and leads nowhere else.
    private mutating func resolveNode(_ name: String, in directory: Cell) -> Cell {
        call(
            .mknodat,
            [.cell(directory), text(name), .named(FileMode(.regular, 0o600)), .literal(0)],
            ignoring: [.fileExists])
        let target = cell(name)
        openName(name, in: directory, into: target)
        return target
    }

    /// Opens what has a name in a directory, whatever it is.
    private mutating func openName(_ name: String, in directory: Cell, into result: Cell) {
        resolve(
            name, below: directory, into: result, flags: [.pathOnly, .noFollow],
            resolution: .name)
    }

    /// Takes the one descriptor of the next message; `without` says what it means that none comes.
    ///
    /// The kernel writes the number, four bytes, behind the 16 of the control message's header: that
    /// lands in a cell when the header fills the two cells before it. Kernel: recvmsg(2), cmsg(3).
    mutating func receiveDescriptor(_ name: String, from socket: Cell, without: String) -> Cell {
        let length = cell("\(name)-length")
        _ = cell("\(name)-type")
        let descriptor = cell(name)
        let vector = words([0, 1])
        relocate(at: vector, to: bytes([0]))
        // struct msghdr: no name; one vector; 24 bytes of control.
        let message = words([0, 0, 0, 1, 0, 24, 0])
        relocate(at: message + 16, to: vector)
        relocateToCell(at: message + 32, cell: length)
        let count = cell("received")
        call(
            .recvmsg, [.cell(socket), .address(message), .literal(0)], into: count, retries: 1000)
        let received = skip(when: .equals(count, 1))
        refuse(without)
        place(received)
        // Nothing is written where the process may not have one more descriptor.
        let fits = skip(when: .equals(length, 20))
        refuse("no descriptor is left for what the runtime sends (RLIMIT_NOFILE)")
        place(fits)
        return descriptor
    }

    /// One SCM_RIGHTS message with exactly one descriptor and a name as payload.
    ///
    /// Kernel: unix(7).
    mutating func sendDescriptor(
        _ descriptor: Cell, named text: String = "/dev/ptmx", over socket: Cell,
        ignoring: [Errno] = []
    ) {
        sendDescriptors(
            [descriptor], with: [(textOffset(text), text.utf8.count)], over: socket,
            ignoring: ignoring)
    }

    /// The same with one descriptor or two, and parts of prepared memory as payload.
    mutating func sendDescriptors(
        _ descriptors: [Cell], with parts: [(offset: Int, count: Int)], over socket: Cell,
        ignoring: [Errno] = []
    ) {
        let vectors = words(parts.flatMap { [0, UInt64($0.count)] })
        for (index, part) in parts.enumerated() {
            relocate(at: vectors + index * 16, to: part.offset)
        }
        // cmsghdr: length, level, type, then four bytes each, padded to 24.
        let kind =
            UInt64(DescriptorMessageType.level) | UInt64(DescriptorMessageType.type) << 32
        let control = words([UInt64(16 + 4 * descriptors.count), kind, 0])
        let header = words([0, 0, 0, UInt64(parts.count), 0, 24, 0])
        relocate(at: header + 16, to: vectors)
        relocate(at: header + 32, to: control)
        for (index, descriptor) in descriptors.enumerated() {
            copy(descriptor, to: control + 16 + 4 * index, width: 4)
        }
        call(
            .sendmsg, [.cell(socket), .address(header), .literal(0)], ignoring: ignoring,
            retries: 100)
    }
}
