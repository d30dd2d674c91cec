// SPDX-License-Identifier: Apache-2.0

// What embedders use.
//
//   Container               a container of a store, by its id; create, run and plan
//   Creation                a new container from the caller's wish to the launcher: checks, facts, plan
//   Execution               a further process from the caller's wish to the launcher: facts, plan
//   Creation+Sources        what facts are read from the bundle
//   Creation+Rights         a second plan, where the first took rights for granted
//   Container+Lifecycle     start, kill, delete
//   Container+Exec          a further process in a running container
//   Container+State         its state, and how each command finds it
//   Container+Progress      its plan, made again, and where its init is in that
//   Container+Update        other limits, while it runs
//   Container+Freeze        pause and resume
//   Container+Events        statistics, out of memory, its end
//   Container+Checkpoint, Container+Restore  from a running container to files, and back
//   Container+ForcedDelete  delete --force: a stuck command, a damaged record
//   ContainerObserver       what happens in a container, by descriptors that can be waited for
//   ContainerStore          the directory that remembers containers (runc's --root)
//   Bundle                  a config with the folder that its paths count from, or with its root
//   ContainerPlan           what create would do, as text and JSON (explain)
//   ContainerProgress       the same of a container that exists, with the place of its init
//   CallerChoices           what that plan depended on beside config and host
//   ContainerProcess        the process that run, createProcess and exec return
//   Termination             how it ended, what it used, and whether memory ran out
//   ContainerProcesses      all processes of a container
//   RuntimeFeatures         what `features` tells

internal import InitProgram
internal import SystemPackage

/// A container of a store, by its id.
///
/// A value of this type holds nothing open; each operation looks at the state directory anew, so it
/// may be used from several threads and beside other programs.
public struct Container: Sendable, Equatable {
    /// The id, unique in the store.
    public let id: String
    /// The store that remembers the container.
    public let store: ContainerStore

    /// Containers of one id in one store are the same.
    public static func == (one: Container, other: Container) -> Bool {
        one.id == other.id && one.store.path == other.store.path
    }

    package init(id: String, store: ContainerStore) {
        self.id = id
        self.store = store
    }

    /// Letters, digits, `_`, `+`, `-` and `.`; not a name that means a directory.
    static func check(_ id: String) throws(ContainerError) {
        guard !id.isEmpty else {
            throw ContainerError(.invalidID, "container id cannot be empty")
        }
        let isValid = id.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"),
                UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard isValid, id != ".", id != "..", id.utf8.count <= 1024 else {
            throw ContainerError(
                .invalidID, "invalid container ID format",
                hint: "an id has letters, digits and the characters _ + - . only")
        }
    }

    // MARK: Creating

    /// Creates a container whose process waits for `start`.
    ///
    /// That process is a child of the caller, and once it ends a zombie until the caller waits for it:
    /// `process` gives it.
    /// - Throws: `alreadyExists`, `invalidSpec`, `unsupported`, `initFailed`, `executableNotFound`,
    ///   `cgroup` or `systemCall`; nothing is left behind then.
    @discardableResult
    public static func create(
        _ id: String, from bundle: Bundle, in store: ContainerStore,
        options: LaunchOptions = LaunchOptions()
    ) throws(ContainerError) -> Container {
        let launcher = try Creation.launched(id, bundle, store, options, startsAtOnce: false)
        if let master = launcher.terminalMaster {
            // Only `run` and `exec` hand a master to the caller; `Creation` refuses it for create.
            launcher.close(master)
        }
        return Container(id: id, store: store)
    }

    /// Creates a container whose process waits for `start`, and returns that process too.
    ///
    /// The process is the caller's to wait for. After a `create` that did not give it, `process` does.
    /// - Throws: as `create` does.
    public static func createProcess(
        _ id: String, from bundle: Bundle, in store: ContainerStore,
        options: LaunchOptions = LaunchOptions()
    ) throws(ContainerError) -> (container: Container, process: ContainerProcess) {
        let process = ContainerProcess(
            taking: try Creation.launched(id, bundle, store, options, startsAtOnce: false))
        return (Container(id: id, store: store), process)
    }

    /// Creates and starts a container in one go, and returns its process.
    ///
    /// - Throws: as `create` does.
    public static func run(
        _ id: String, from bundle: Bundle, in store: ContainerStore,
        options: LaunchOptions = LaunchOptions()
    ) throws(ContainerError) -> ContainerProcess {
        ContainerProcess(
            taking: try Creation.launched(id, bundle, store, options, startsAtOnce: true))
    }

    /// What `create` would do: both columns of the plan, without doing any of it.
    ///
    /// - Throws: `invalidSpec` or `unsupported`.
    public static func plan(
        _ id: String, from bundle: Bundle, in store: ContainerStore,
        options: LaunchOptions = LaunchOptions()
    ) throws(ContainerError) -> ContainerPlan {
        do throws(ContainerError) {
            let creation = try Creation(
                id, bundle, store, options, startsAtOnce: false, explainsOnly: true)
            return ContainerPlan(launch: creation.launch.plan)
        } catch {
            throw error.naming(bundle.spec)
        }
    }
}
