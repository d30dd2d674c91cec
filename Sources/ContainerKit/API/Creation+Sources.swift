// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

// What a plan must know about the sources of mounts.

extension Bundle {
    /// A path of the config; a relative one is resolved against the bundle.
    func absolute(_ path: String) -> String {
        path.path(from: self.path.text)
    }
}

extension Creation {
    private static func sourcePath(of mount: Mount, _ bundle: Bundle) -> String {
        bundle.absolute(mount.source ?? "")
    }

    /// The texts of the symbolic links that are sources of mounts to be made as links.
    static func sourceLinks(_ spec: Spec, _ bundle: Bundle) throws(ContainerError)
        -> MountFacts<String>
    {
        var links: MountFacts<String> = [:]
        for (index, mount) in (spec.mounts ?? []).enumerated()
        where (mount.options ?? []).contains("copy-symlink") {
            let path = sourcePath(of: mount, bundle)
            links[index] = try reporting(field: "mounts[\(index)].source") {
                () throws(SystemCallError) -> String? in
                let file = try openFile(path, .pathOnly | .noFollow)
                guard try status(of: file.number).kind == .link else {
                    return nil
                }
                guard let text = String(validating: try readLink(file.number), as: UTF8.self) else {
                    throw SystemCallError(
                        "readlinkat", "\"\(path)\"", errno: .illegalByteSequence)
                }
                return text
            }
        }
        return links
    }

    /// The modes of the directories that a tmpfs covers, for those without a `mode` option.
    static func coveredModes(_ spec: Spec, _ bundle: Bundle) -> MountFacts<UInt16> {
        var modes: MountFacts<UInt16> = [:]
        let path = rootPath(spec, bundle)
        lazy var place = RootPath(path)
        var opened: OwnedDescriptor?
        for (index, mount) in (spec.mounts ?? []).enumerated() where mount.type == "tmpfs" {
            let words = mount.options ?? []
            guard !words.contains(where: { $0.begins(with: "mode=") || $0 == "tmpcopyup" }) else {
                continue
            }
            if opened == nil { opened = try? openFile(path, .pathOnly | .directory) }
            guard let root = opened?.number else { break }
            guard
                let directory = try? openInRoot(
                    root, place.destination(mount.destination), .pathOnly | .directory),
                let mode = try? status(of: directory.number).permissions
            else { continue }
            modes[index] = mode
        }
        return modes
    }

    static func rootPath(_ spec: Spec, _ bundle: Bundle) -> String {
        bundle.absolute(spec.root?.path ?? "")
    }

    /// The attributes of the mounts that contain the sources of bind mounts.
    ///
    /// A missing source is left out: the mount itself then fails, with its name.
    static func sourceAttributes(_ spec: Spec, _ bundle: Bundle) -> MountFacts<MountAttributes> {
        var found: MountFacts<MountAttributes> = [:]
        for (index, mount) in (spec.mounts ?? []).enumerated() {
            let options = MountOptions(mount.options ?? [], type: mount.type)
            guard options.isBind, !options.bindAttributes.isEmpty else { continue }
            found[index] = try? mountAttributes(at: sourcePath(of: mount, bundle))
        }
        return found
    }
}

extension PathLook {
    /// The host's paths that a launch of a container uses.
    init(_ spec: Spec, _ bundle: Bundle, _ options: LaunchOptions) {
        let root = Creation.rootPath(spec, bundle)
        add(root, "root.path")
        if spec.process?.lacksHome == true { add(passwordFile, below: root, "root.path") }
        addFiles(of: options)
        add(spec.linux?.seccomp?.listenerPath, SeccompListener.field)
        for (index, mount) in (spec.mounts ?? []).enumerated() {
            // A tmpfs takes over the mode, or with tmpcopyup the contents, of what it covers.
            if mount.type == "tmpfs" {
                add(mount.destination, below: root, "mounts[\(index)].destination")
            }
            let source = mount.source ?? ""
            // A name that stands for no path, such as that of a tmpfs, is relative.
            let options = MountOptions(mount.options ?? [], type: mount.type)
            guard options.isBind || source.begins(with: "/") else { continue }
            add(bundle.absolute(source), "mounts[\(index)].source")
        }
        for (index, namespace) in (spec.linux?.namespaces ?? []).enumerated() {
            add(namespace.path, "linux.namespaces[\(index)].path")
        }
        let points: [HookPoint] = [.prestart, .createRuntime, .createContainer, .poststart]
        for point in points {
            for hook in spec.hooks?.planned(point) ?? [] {
                add(hook.path, isRead: true, "\(hook.field).path")
            }
        }
    }

    /// The paths that an exec uses.
    init(_ process: Process, rootOf pid: Int32, _ options: LaunchOptions) {
        if process.lacksHome { add(passwordFile, below: "/proc/\(pid)/root") }
        addFiles(of: options)
    }

    /// The files and sockets that the caller names.
    private mutating func addFiles(of options: LaunchOptions) {
        add(options.pidFile?.removingLastComponent().text)
        add(options.pidFile?.text)
        add(options.pidfdSocket?.text)
        if case .consoleSocket(let path)? = options.terminal { add(path.text) }
    }

    private var passwordFile: String { "/etc/passwd" }
}
#endif
