// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
public import RuntimeSpec
public import SystemPackage

/// A bundle by a name that Foundation does not have.
public typealias ContainerBundle = Bundle

extension Spec {
    /// A process by a name that Foundation does not have.
    public typealias Process = RuntimeSpec.Process
}

/// A directory with a config and a root file system.
///
/// Spec: bundle.md.
public struct Bundle: Sendable {
    /// The absolute path of the directory.
    public let path: FilePath
    /// The decoded config, with what annotations say in place of its fields; every rule of the spec has
    /// been checked.
    public let spec: Spec
    /// The config's text, kept as it is in the state directory.
    let config: [UInt8]

    /// Reads and checks a bundle.
    ///
    /// - Parameters:
    ///   - path: the directory; a relative one is taken from the current directory.
    ///   - configName: the config's file name in it, or an absolute path.
    /// - Throws: `invalidSpec` with every violation, or `systemCall` when a file cannot be read.
    public init(at path: FilePath, configName: String = "config.json") throws(ContainerError) {
        let absolute = try Self.absolute(path)
        let file = configName.path(from: absolute.text)
        let bytes: [UInt8]
        do {
            bytes = try readFile(file)
        } catch {
            var hint: String?
            if error.errno == .noSuchFileOrDirectory, !configName.begins(with: "/") {
                hint = "\(configName) is missing in the bundle; `spec` writes a template"
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

    /// Takes a spec that the caller made; the bundle needs no config file.
    ///
    /// - Parameters:
    ///   - path: the directory that a relative `root.path` is taken from.
    ///   - spec: the config.
    /// - Throws: `invalidSpec` with every violation.
    public init(at path: FilePath, spec: Spec) throws(ContainerError) {
        try self.init(
            path: Self.absolute(path), spec: spec, config: spec.encoded.encoded())
    }

    /// Takes a root file system and a spec that the caller made, whose `root.path` does not matter.
    ///
    /// - Parameters:
    ///   - rootfs: the root file system; a relative one is taken from the current directory, as it is now.
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
        // Only start needs a process.
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
