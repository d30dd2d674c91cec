// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
public import Logging
public import RuntimeSpec
public import SystemPackage

/// A directory that records containers, like runc's `--root`.
public struct ContainerStore: Sendable {
    /// The default directory of root.
    public static var standardPath: FilePath { "/run/swrunc" }

    /// The default directory of the user who runs this program.
    ///
    /// For an ordinary user it is below XDG_RUNTIME_DIR, as with runc; for root it is
    /// `standardPath`.
    public static var ownPath: FilePath {
        guard let directory = environmentVariable("XDG_RUNTIME_DIR"), directory.begins(with: "/"),
            isRootless
        else { return standardPath }
        return FilePath(directory).appending("swrunc")
    }

    /// Whether the directory in XDG_RUNTIME_DIR is used: by an ordinary user, and by root of a user
    /// namespace unless USER is root.
    ///
    /// Rootless engines leave USER as the user's name, or unset.
    private static var isRootless: Bool {
        guard RuntimeRights.startedAsRoot else { return true }
        guard RuntimeRights.mayBeFewer, environmentVariable("USER") != "root" else { return false }
        return isInsideUserNamespace
    }

    /// The absolute path of the directory.
    public let path: FilePath
    /// Gets debug lines about what is done to the containers.
    public var logger = Logger(label: "ContainerKit") { _ in SwiftLogNoOpLogHandler() }

    /// A store at `path`; the directory is made with the first container.
    ///
    /// A relative path is resolved now, against the current directory. If that has been removed,
    /// creating a container fails with `invalidArgument`.
    public init(at path: FilePath = ownPath) {
        self.path = path.isAbsolute ? path : (try? Bundle.absolute(path)) ?? path
    }

    /// The container with this ID.
    ///
    /// - Throws: `invalidID`, or `notFound` if the store has no such container.
    public func container(_ id: String) throws(ContainerError) -> Container {
        try Container.check(id)
        guard try StateDirectory.open(id, in: path.text) != nil else {
            throw ContainerError(.notFound, "container does not exist")
        }
        return Container(id: id, store: self)
    }

    /// The states of all containers, in the order of their IDs.
    ///
    /// Containers being deleted meanwhile are left out, and so are directories that hold no
    /// container. A missing store counts as empty if it is the standard one.
    ///
    /// - Throws: `notFound` if the store is missing and not the standard one.
    public func states() throws(ContainerError) -> [State] {
        try states { id, error in logger.warning("load container \(id): \(error)") }
    }

    /// The states of all containers, in the order of their IDs, except those whose state cannot be
    /// determined: `skip` is called with each of these and the reason.
    ///
    /// - Throws: `notFound` if the store is missing and not the standard one.
    public func states(skipping skip: (_ id: String, _ reason: ContainerError) -> Void)
        throws(ContainerError) -> [State]
    {
        var states: [State] = []
        let names = try names()
        states.reserveCapacity(names.count)
        // All containers of a store are this user's: those of others are refused.
        var owner: String?
        for name in names {
            do throws(ContainerError) {
                var state = try Container(id: name, store: self).state()
                let user = owner ?? Self.nameOfUser()
                owner = user
                state.owner = user
                states.append(state)
            } catch {
                if error.code != .notFound { skip(name, error) }
            }
        }
        return states
    }

    private static func nameOfUser() -> String {
        PasswordFile.name(ofUser: effectiveUserID, in: (try? readFile("/etc/passwd")) ?? [])
    }
}
#endif
