// SPDX-License-Identifier: Apache-2.0

public import SystemPackage

extension Container {
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
