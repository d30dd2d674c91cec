// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import Logging
internal import RuntimeSpec
internal import SystemPackage

extension Creation {
    /// Launches the process, and returns its launcher.
    ///
    /// A process started as root is assumed to have all rights, to save root the time to check.
    /// Root of a user namespace has fewer: the first refusal shows this, and a second plan is made.
    static func launched(
        _ id: String, _ bundle: Bundle, _ store: ContainerStore, _ options: LaunchOptions,
        startsAtOnce: Bool
    ) throws(ContainerError) -> Launcher {
        do throws(ContainerError) {
            return try launch(
                id, bundle, store, options.beginning(), startsAtOnce: startsAtOnce)
        } catch {
            throw error.naming(bundle.spec)
        }
    }

    /// What the span of a plan says.
    static let planning = "look at the host, check the config, make the plan"

    private static func launch(
        _ id: String, _ bundle: Bundle, _ store: ContainerStore, _ options: LaunchOptions,
        startsAtOnce: Bool
    ) throws(ContainerError) -> Launcher {
        let launcher = try options.trace.measure("runtime.plan", Self.planning) {
            () throws(ContainerError) in
            try Creation(id, bundle, store, options, startsAtOnce: startsAtOnce).launcher()
        }
        if options.rootless == nil, RuntimeRights.startedAsRoot {
            launcher.isTriedAgainAfter = { lacksRights($0, $1) || meetsUnbindableMount($0) }
        }
        do throws(ContainerError) {
            try launcher.run()
            return launcher
        } catch {
            guard launcher.isToBeTriedAgain else { throw error }
            options.logger.debug("in another way again, since that was refused: \(error)")
            let second = try options.trace.measure("runtime.plan", Self.planning) {
                () throws(ContainerError) in
                try Creation(
                    id, bundle, store, options, startsAtOnce: startsAtOnce,
                    looksAtRights: lacksRights(error, launcher),
                    hasUnbindableSources: meetsUnbindableMount(error)
                ).launcher()
            }
            try second.run()
            return second
        }
    }
}

/// Whether the kernel refused to clone a mount, and some mount is unbindable.
///
/// All mounts are cloned before the first hook runs, so the whole launch can be repeated.
private func meetsUnbindableMount(_ error: ContainerError) -> Bool {
    guard let failure = error.failure, failure.call == "open_tree",
        failure.errno == .invalidArgument
    else { return false }
    return (try? hasUnbindableMounts()) ?? false
}

/// Whether a refusal before the child existed may be due to rights that the plan assumed.
private func lacksRights(_ error: ContainerError, _ launcher: Launcher) -> Bool {
    guard launcher.pid == 0, let errno = error.failure?.errno else { return false }
    let isRefusal =
        errno == .notPermitted || errno == .permissionDenied || errno == .readOnlyFileSystem
        || errno == .invalidArgument
    return isRefusal && (isInsideUserNamespace || !RuntimeRights.holdsRightOverDevices)
}

extension CreateFacts {
    /// Notes the service manager's socket, if there is one, and where the container finds ours.
    mutating func listen(_ socket: String?, _ stateDirectory: String) {
        guard let socket else { return }
        notifySocket = socket
        readinessDirectory = "\(stateDirectory)/\(ReadinessSocket.directoryName)"
    }
}

extension HostFacts {
    /// Drops the hierarchies in which no cgroup can be made, if the container may do without one.
    ///
    /// If the config names a cgroup, the container gets it or an error, as with runc.
    mutating func limitCgroups(to path: String?, of id: String) {
        hasUnifiedCgroups = cgroups.mode == .unified
        if let systemd, systemd.instance == .user, let own = cgroups.hierarchies.last?.ownPath {
            staysOutsideCgroup = !"\(own)/".begins(with: "\(systemd.controlGroup)/")
        }
        guard rights.mayGoWithoutCgroups, systemd == nil, adoptedCgroup == nil else { return }
        if let path, !path.isEmpty {
            cgroups = cgroups.withoutClosedUnified(for: id, at: path)
            return
        }
        let present = cgroups.hierarchies
        cgroups = cgroups.permitted(for: id)
        guard cgroups.mode == .none, !rights.preparesMounts else { return }
        ownCgroups = present.filter { !$0.controllers.isEmpty }.map {
            CgroupDirectory(
                controllers: $0.controllers, mountPoint: $0.mountPoint, cgroup: $0.ownPath)
        }
    }
}
#endif
