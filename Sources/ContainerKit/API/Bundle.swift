// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
public import RuntimeSpec
public import SystemPackage

/// `Bundle` under a name that does not clash with Foundation's.
public typealias ContainerBundle = Bundle

extension Spec {
    /// The spec's `Process` under a name that does not clash with Foundation's.
    public typealias Process = RuntimeSpec.Process
}

/// A directory with a config and a root filesystem.
///
/// Spec: bundle.md.
public struct Bundle: Sendable {
    /// The absolute path of the directory.
    public let path: FilePath
    /// The decoded config; annotations that override fields are applied, and all rules of the spec
    /// hold.
    public let spec: Spec
    /// The config's text, which the state directory keeps unchanged.
    let config: [UInt8]

    /// Reads and checks a bundle.
    ///
    /// - Parameters:
    ///   - path: the directory; a relative path is resolved against the current directory.
    ///   - configName: the name of the config file in the directory, or an absolute path.
    ///   - timeout: how long its file system may take to answer; nil means for ever.
    /// - Throws: `invalidSpec` with every violation, or `systemCall` when a file cannot be read;
    ///   `timedOut`.
    public init(
        at path: FilePath, configName: String = "config.json", timeout: Duration? = nil
    ) throws(ContainerError) {
        let absolute = try Self.absolute(path)
        let file = configName.path(from: absolute.text)
        if let timeout { try PathLook(reading: file).check(within: TimeLimit(checking: timeout)) }
        let bytes: [UInt8]
        do {
            bytes = try readFile(file)
        } catch {
            var hint: String?
            if error.errno == .noSuchFileOrDirectory, !configName.begins(with: "/") {
                hint = "\(configName) is missing in the bundle; `spec` writes a template"
            } else if error.errno == .resourceTemporarilyUnavailable {
                hint = "the file has no end: it is one of the kernel's, or a device"
            }
            throw ContainerError(
                .systemCall, "unable to read the config", failure: error, hint: hint)
        }
        do {
            try self.init(path: absolute, spec: Spec(json: bytes), config: bytes)
        } catch let error as SpecDecodingError {
            throw ContainerError(.invalidSpec, "\(file): \(error)")
        } catch let error as ContainerError {
            throw error
        } catch {
            throw ContainerError(.invalidSpec, "\(file): \(error)")
        }
    }

    /// Makes a bundle from a spec in memory; no config file is needed.
    ///
    /// - Parameters:
    ///   - path: the directory that a relative `root.path` is resolved against.
    ///   - spec: the config.
    /// - Throws: `invalidSpec` with every violation.
    public init(at path: FilePath, spec: Spec) throws(ContainerError) {
        try self.init(
            path: Self.absolute(path), spec: spec, config: spec.encoded.encoded())
    }

    /// Makes a bundle from a root filesystem and a spec in memory, whose `root.path` is replaced.
    ///
    /// - Parameters:
    ///   - rootfs: the root filesystem; a relative path is resolved now, against the current
    ///     directory.
    ///   - spec: the config.
    /// - Throws: `invalidSpec` with every violation, `systemCall` when the current directory is gone.
    public init(rootfs: FilePath, spec: Spec) throws(ContainerError) {
        let path = try Self.absolute(rootfs)
        var spec = spec
        spec.root = Root(path: path.text, readonly: spec.root?.readonly ?? false)
        try self.init(path: path, spec: spec, config: spec.encoded.encoded())
    }

    private init(path: FilePath, spec: Spec, config: [UInt8]) throws(ContainerError) {
        let spec = try spec.followingAnnotations()
        // A process is required by start alone.
        try reporting { () throws(SpecErrors) in try spec.check(requiringProcess: false) }
        self.path = path
        self.spec = spec
        self.config = config
    }

    static func absolute(_ path: FilePath) throws(ContainerError) -> FilePath {
        if path.isAbsolute { return path.lexicallyNormalized() }
        let current = try reporting { () throws(SystemCallError) in try currentDirectoryPath() }
        return FilePath(current).appending(path.components).lexicallyNormalized()
    }
}
#endif
