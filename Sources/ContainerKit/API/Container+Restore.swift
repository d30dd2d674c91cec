// SPDX-License-Identifier: Apache-2.0

internal import RuntimeSpec
public import SystemPackage

/// What a restore would do; nothing of it has happened.
public struct RestorePlan: Equatable, Sendable {
    /// The plan as text: what is done before CRIU is asked, what CRIU is asked for, and what is compared with
    /// the config before the processes go on.
    public let explained: String

    /// The plan as JSON text, for programs.
    ///
    /// An object with the arrays `before`, `mounts`, `sharing`, `criu`, `hooks`, `checks` and `after`, of
    /// `{"field", "step"}`.
    public let explainedJSON: String
}

extension Container {
    /// What `restore` would do, without doing any of it.
    ///
    /// - Throws: what would refuse the restore before CRIU is asked; what copies may not share is told in the
    ///   plan.
    public static func planRestore(
        _ id: String, from path: FilePath, bundle: Bundle, in store: ContainerStore,
        options: RestoreOptions = RestoreOptions()
    ) throws(ContainerError) -> RestorePlan {
        do throws(ContainerError) {
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

    /// Makes a container whose processes go on where those of a checkpoint stood; by CRIU.
    ///
    /// State, cgroups with their limits, mount points and namespaces that the config joins are made or opened
    /// as for a new container; hooks of `prestart` and `createRuntime` run once the namespaces are there.
    /// Before a process runs, its id maps, capabilities, `noNewPrivileges`, seccomp mode, label, namespaces,
    /// cgroups and hidden paths are compared with the config: one that may do more than that grants ends the
    /// restore. Beyond that an image is trusted as the config is.
    /// - Parameters:
    ///   - id: the id, which may be another than the checkpoint's.
    ///   - path: the directory of the image.
    ///   - bundle: the config, with the root file system as it was at the checkpoint.
    ///   - store: where the container is remembered.
    ///   - options: what the checkpoint was told, and what becomes of streams and terminal.
    /// - Returns: the first process, a child of the caller.
    /// - Throws: `criu` with CRIU's own words and the path of its log, or as `create`; nothing is left behind
    ///   then but mount points in the root file system.
    public static func restore(
        _ id: String, from path: FilePath, bundle: Bundle, in store: ContainerStore,
        options: RestoreOptions = RestoreOptions()
    ) throws(ContainerError) -> ContainerProcess {
        do throws(ContainerError) {
            let launcher = try Creation(id, bundle, store, options.launch, startsAtOnce: true)
                .launcher()
            try Restoration(
                launcher, bundle.spec, from: Bundle.absolute(path).text, options
            ).run()
            return ContainerProcess(taking: launcher)
        } catch {
            throw error.naming(bundle.spec)
        }
    }
}
