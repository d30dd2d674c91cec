// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// Steps for the namespaces that the child joins, and for the devices that move into them.
enum ParentNamespaceStep: ParentAction {
    /// Opens a namespace to join and checks its type.
    case open(NamespaceKind, path: String, mustDiffer: Bool)
    /// Opens the process whose namespaces are to be joined.
    case openProcess
    /// Opens the root directory of that process.
    case openRootOfInit
    /// Moves network devices of the host into the child's network namespace, through a socket that
    /// the child has made in it.
    case moveNetDevices([NetDeviceMove])

    var sentence: String {
        switch self {
        case .open(let kind, let path, _): "open the \(kind.rawValue) namespace \(path)"
        case .openProcess: "open the container's process"
        case .openRootOfInit: "open the root directory of the container's process"
        case .moveNetDevices(let devices):
            "move the network devices "
                + devices.map {
                    $0.name == $0.newName ? $0.name : "\($0.name) (as \($0.newName))"
                }.joined(separator: ", ")
        }
    }

    var exchanges: [Exchange] {
        switch self {
        case .moveNetDevices: [.receives(.networkSocket)]
        case .open, .openProcess, .openRootOfInit: []
        }
    }

    var provides: [InheritedDescriptor] {
        switch self {
        case .open(let kind, _, _): [.namespace(kind.rawValue)]
        case .openProcess: [.process]
        case .openRootOfInit: [.rootOfInit]
        case .moveNetDevices: []
        }
    }

    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError) {
        switch self {
        case .open(let kind, let path, let mustDiffer):
            try launcher.openNamespace(kind, path, mustDiffer, origin)
        case .openProcess: launcher.inputs[.process] = launcher.joinedInit
        case .openRootOfInit: launcher.inputs[.rootOfInit] = try launcher.rootOfInit()
        case .moveNetDevices(let devices): try launcher.moveNetDevices(devices)
        }
    }
}

extension Launcher {
    /// Opens a namespace and checks that it is of the configured kind.
    ///
    /// - Parameters:
    ///   - kind: the required kind.
    ///   - path: the namespace file.
    ///   - mustDiffer: whether it must not be the runtime's own, in which the config would change
    ///     the host.
    ///   - origin: the field that names it.
    /// - Throws: `invalidSpec` or `systemCall`.
    fileprivate func openNamespace(
        _ kind: NamespaceKind, _ path: String, _ mustDiffer: Bool, _ origin: Origin
    ) throws(ContainerError) {
        let field = origin.path
        let namespace = try reporting("unable to open the \(kind.rawValue) namespace", field: field)
        {
            () throws(SystemCallError) in
            try openFile(path, .readOnly | .nonBlocking)
        }
        let type = cloneFlag(ofNamespace: namespace.number)
        guard type == kind.cloneFlag.rawValue else {
            let found = NamespaceKind.allCases.first { $0.cloneFlag.rawValue == type }
            throw ContainerError(
                .invalidSpec,
                found.map { "\(path) is a \($0.rawValue) namespace, not a \(kind.rawValue) one" }
                    ?? "\(path) is no namespace", field: field.map { $0 + ".path" })
        }
        if mustDiffer {
            let isOwn = try reporting(field: field) { () throws(SystemCallError) in
                let theirs = try status(of: namespace.number)
                return try theirs.stx_ino == status(at: "/proc/self/ns/\(kind.procName)").stx_ino
            }
            guard !isOwn else {
                throw ContainerError(
                    .invalidSpec,
                    "\(path) is the runtime's own \(kind.rawValue) namespace, which the "
                        + "container would change (mounts, sysctl, hostname)", field: field)
            }
        }
        inputs[.namespace(kind.rawValue)] = own(namespace)
    }

    /// Opens init's root directory.
    func rootOfInit() throws(ContainerError) -> CInt {
        let (pid, process) = (joinedPid, joinedInit)
        let root = try reporting("unable to open the container's root") {
            () throws(SystemCallError) in
            let root = try openFile("/proc/\(pid)/root", .pathOnly | .directory)
            // Init still exists, so its pid was not reused meanwhile.
            if let process { try sendSignal(process, 0) }
            return root
        }
        return own(root)
    }

    fileprivate func moveNetDevices(_ devices: [NetDeviceMove]) throws(ContainerError) {
        let socket = try receiveFromChild()
        let netDevices = try reporting(field: "linux.netDevices") { () throws(SystemCallError) in
            try NetDevices(container: OwnedDescriptor(taking: socket))
        }
        // Take the devices back before the namespace ends with the child, since virtual devices end
        // with it.
        takeBackOnFailure(whileOpen: true) { _ in netDevices.takeBack() }
        for device in devices { try netDevices.move(device) }
    }
}
#endif
