// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import KernelVocabulary
public import Logging
public import RuntimeSpec
public import SystemPackage

/// A directory that remembers containers: what runc calls `--root`.
public struct ContainerStore: Sendable {
    /// Where root's containers are remembered.
    public static var standardPath: FilePath { "/run/swrunc" }

    /// Where the containers of whoever runs this program are remembered: an ordinary user's below
    /// XDG_RUNTIME_DIR, as with runc; root's at `standardPath`.
    public static var ownPath: FilePath {
        guard let directory = environmentVariable("XDG_RUNTIME_DIR"), directory.begins(with: "/"),
            isRootless
        else { return standardPath }
        return FilePath(directory).appending("swrunc")
    }

    /// The directory in XDG_RUNTIME_DIR is for an ordinary user, and for root of a user namespace unless
    /// USER is root: rootless engines keep the user's name there, or set none.
    private static var isRootless: Bool {
        guard RuntimeRights.startedAsRoot else { return true }
        guard RuntimeRights.mayBeFewer, environmentVariable("USER") != "root" else { return false }
        return isInsideUserNamespace
    }

    /// The absolute path of the directory.
    public let path: FilePath
    /// Takes debug lines of what is done to the containers.
    public var logger = Logger(label: "ContainerKit") { _ in SwiftLogNoOpLogHandler() }

    /// A store at `path`; the directory is made with the first container.
    ///
    /// A relative path is taken from the directory that is the current one now, whatever it is later. Where
    /// that has been removed, creating a container is an `invalidArgument`.
    public init(at path: FilePath = ownPath) {
        self.path = path.isAbsolute ? path : (try? Bundle.absolute(path)) ?? path
    }

    /// The container `id`.
    ///
    /// - Throws: `invalidID`, or `notFound` when the store has no such container.
    public func container(_ id: String) throws(ContainerError) -> Container {
        try Container.check(id)
        guard try StateDirectory.open(id, in: path.text) != nil else {
            throw ContainerError(.notFound, "container does not exist")
        }
        return Container(id: id, store: self)
    }

    /// The states of all containers, in the order of their ids.
    ///
    /// A container that is being deleted meanwhile is left out, and so is a directory that holds no
    /// container. A missing store is empty if it is the standard one.
    ///
    /// - Throws: `notFound` when the store is missing and not the standard one.
    public func states() throws(ContainerError) -> [State] {
        try states { id, error in logger.warning("load container \(id): \(error)") }
    }

    /// The states of all containers, in the order of their ids, but of those whose state cannot be told:
    /// each of them is given to `skip`, with the reason.
    ///
    /// - Throws: `notFound` when the store is missing and not the standard one.
    public func states(skipping skip: (_ id: String, _ reason: ContainerError) -> Void)
        throws(ContainerError) -> [State]
    {
        let names: [String]
        do throws(SystemCallError) {
            names = try directoryEntries(path.text)
        } catch  where error.errno == .noSuchFileOrDirectory {
            if path == Self.ownPath { return [] }
            throw ContainerError(.notFound, "the store does not exist", failure: error)
        } catch {
            throw ContainerError(error)
        }
        var states: [State] = []
        var users: [UInt8]?
        for name in names.sorted() {
            guard (try? Container.check(name)) != nil else { continue }
            do throws(ContainerError) {
                var state = try Container(id: name, store: self).state()
                if users == nil { users = (try? readFile("/etc/passwd")) ?? [] }
                // A store only has containers of this user: others' are refused.
                state.owner = PasswordFile.name(ofUser: effectiveUserID, in: users ?? [])
                states.append(state)
            } catch {
                if error.code != .notFound { skip(name, error) }
            }
        }
        return states
    }
}
