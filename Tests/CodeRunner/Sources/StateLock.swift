// SPDX-License-Identifier: Apache-2.0

internal import ContainerKitAsync
internal import Glibc
internal import SystemPackage

/// The directory of the containers, for one service at a time.
struct StateLock {
    private let store: ContainerStore
    /// Open, and so locked, until the process ends.
    private let directory: FileDescriptor

    /// Makes the directory if it is missing.
    ///
    /// - Throws: `StateError`, also if another service has the directory.
    init(_ store: ContainerStore) throws {
        self.store = store
        if mkdir(store.path.string, 0o700) < 0, errno != EEXIST {
            throw StateError(store.path, Errno(rawValue: errno))
        }
        do {
            directory = try FileDescriptor.open(
                store.path, .readOnly, options: [.directory, .closeOnExec])
        } catch let error as Errno {
            throw StateError(store.path, error)
        }
        if flock(directory.rawValue, LOCK_EX | LOCK_NB) < 0 {
            throw StateError(store.path, Errno(rawValue: errno))
        }
    }

    /// Ends and deletes the containers of a service that was killed.
    func removeLeftovers() throws {
        var damaged: [String] = []
        let whole = try store.states { id, _ in damaged.append(id) }.map(\.id)
        for id in whole + damaged { try store.container(id).delete(force: true) }
    }
}

/// The directory of the containers cannot be used.
struct StateError: Error, CustomStringConvertible {
    var description: String

    init(_ path: FilePath, _ error: Errno) {
        let reason = error == .wouldBlock ? "another service uses it" : "\(error)"
        description = "--state \(path): \(reason)"
    }
}

/// Raises the soft limit of open files: a program in flight has five.
func raiseDescriptorLimit() throws {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0 else { throw Errno(rawValue: errno) }
    limit.rlim_cur = limit.rlim_max
    guard setrlimit(resource, &limit) == 0 else { throw Errno(rawValue: errno) }
}
