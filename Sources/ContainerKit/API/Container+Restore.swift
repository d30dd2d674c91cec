// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec
public import SystemPackage

/// The plan of a restore; nothing of it has been done.
public struct RestorePlan: Equatable, Sendable {
    /// The plan as text: the steps before CRIU is asked, the request to CRIU, and the comparisons
    /// with the config before the processes go on.
    public let explained: String

    /// The plan as JSON text, for programs.
    ///
    /// It is an object with the arrays `before`, `mounts`, `sharing`, `criu`, `hooks`, `checks` and
    /// `after`, whose elements are `{"field", "step"}`.
    public let explainedJSON: String
}

extension Container {
    /// The plan of a `restore`, without doing any of it.
    ///
    /// - Throws: any error that would refuse the restore before CRIU is asked. What copies may not
    ///   share is shown in the plan instead.
    public static func planRestore(
        _ id: String, from path: FilePath, bundle: Bundle, in store: ContainerStore,
        options: RestoreOptions = RestoreOptions()
    ) throws(ContainerError) -> RestorePlan {
        do throws(ContainerError) {
            try options.refuseOtherCgroups()
            let creation = try Creation(
                id, bundle, store, options.launch, startsAtOnce: true, explainsOnly: true)
            let explanation = try RestoreExplanation(
                creation.launch.plan, bundle.spec, creation.record,
                from: Bundle.absolute(path).text, options, storePath: store.path.text)
            return RestorePlan(
                explained: explanation.text,
                explainedJSON: String(
                    decoding: explanation.json.encoded(pretty: true), as: UTF8.self))
        } catch {
            throw error.naming(bundle.spec)
        }
    }

    /// Makes a container whose processes continue from a checkpoint, using CRIU.
    ///
    /// State, cgroups with their limits, mount points, and namespaces that the config joins are
    /// prepared as for a new container; hooks of `prestart` and `createRuntime` run once the
    /// namespaces exist. Before any process goes on, its ID maps, capabilities, `noNewPrivileges`,
    /// seccomp mode, label, namespaces, cgroups and hidden paths are compared with the config: a
    /// process with more rights than the config grants fails the restore. Apart from that, an image
    /// is trusted like a config.
    /// - Parameters:
    ///   - id: the container's ID, which may differ from the checkpoint's.
    ///   - path: the directory of the image.
    ///   - bundle: the config, with the root filesystem as it was at the checkpoint.
    ///   - store: the store of the new container.
    ///   - options: what the checkpoint allowed, and the streams and terminal to use.
    /// - Returns: the first process, a child of the caller.
    /// - Throws: `criu` with CRIU's own message and the path of its log, or the errors of `create`,
    ///   such as `timedOut` with what CRIU is doing;
    ///   nothing is left behind then but mount points in the root filesystem.
    public static func restore(
        _ id: String, from path: FilePath, bundle: Bundle, in store: ContainerStore,
        options: RestoreOptions = RestoreOptions()
    ) throws(ContainerError) -> ContainerProcess {
        do throws(ContainerError) {
            try options.refuseOtherCgroups()
            var options = options
            options.launch = try options.launch.beginning()
            let launch = options.launch
            if let limit = launch.timeLimit {
                try PathLook(path.string, options.workPath?.string).check(within: limit)
            }
            let launcher = try launch.trace.measure("runtime.plan", Creation.planning) {
                () throws(ContainerError) in
                try Creation(id, bundle, store, launch, startsAtOnce: true).launcher()
            }
            try Restoration(
                launcher, bundle.spec, from: Bundle.absolute(path).text, options
            ).run()
            return ContainerProcess(taking: launcher)
        } catch {
            throw error.naming(bundle.spec)
        }
    }
}

extension RestoreOptions {
    /// CRIU restores cgroups by the names that the checkpoint had.
    fileprivate func refuseOtherCgroups() throws(ContainerError) {
        guard !launch.keepsAccounting else {
            throw ContainerError(
                .unsupported, "a restored container cannot keep its accounting after its end",
                hint: "leave keepsAccounting out")
        }
        guard let cgroup = launch.adoptedCgroup else { return }
        throw ContainerError(
            .unsupported, "a restored container cannot adopt the cgroup \(cgroup.path)",
            hint: "leave adoptedCgroup out: the cgroup is made for the container")
    }
}
#endif
