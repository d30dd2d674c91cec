// SPDX-License-Identifier: Apache-2.0

// The public interface of the library.
//
//   Container               a container of a store, by its ID; create, run and plan
//   Creation                prepares a new container for the launcher: checks, facts, plan
//   Execution               prepares another process for the launcher: facts, plan
//   Creation+Sources        the facts that are read from the bundle
//   Creation+Rights         a second plan, if the first assumed rights that are missing
//   Container+Start         lets the process of a created container run
//   Container+Lifecycle     kill, delete
//   Container+Exec          another process in a running container
//   Container+State         its state, and how every command finds it
//   Container+Progress      its plan, made again, and how far its init has come
//   Container+Update        changes its limits while it runs
//   Container+Freeze        pause and resume
//   Container+Events        statistics, out-of-memory events, its end
//   Container+Mounts        mounts that are added and removed while it runs
//   Container+Devices       devices that are added and removed while it runs
//   Container+Files         files in and out of it, by descriptor
//   Container+Checkpoint, Container+Restore  saves a running container to files, and restores it
//   HostLook, PlanCheck     what reports on configs ask of the host and of plans
//   Container+ForcedDelete  delete --force: a stuck command, a damaged record
//   ContainerObserver       the events of a container, by descriptors that can be polled
//   ContainerStore          the directory that remembers containers (runc's --root)
//   Bundle                  a config with the directory its paths are relative to, or with its root
//   ContainerPlan           the plan of create, as text and JSON (explain)
//   ContainerProgress       the plan of an existing container, with the position of its init
//   CallerChoices           the caller's choices that the plan depends on
//   ContainerProcess        the process that run, createProcess and exec return
//   Termination             how it ended, its resource usage, and whether memory ran out
//   ContainerProcesses      all processes of a container
//   RuntimeFeatures         the output of `features`
//   ControlGroup            a cgroup without a container
//   Container+Sample        state and statistics by one read, for metrics
//   ContainerMeter          state and usage again and again, by few calls, for top
//   HostProbe               trials of what this machine lets the runtime do, for doctor

#if os(Linux)
internal import InitProgram
internal import SystemPackage

/// A container of a store, by its ID.
///
/// A value of this type holds nothing open: each operation reads the state directory anew. So it
/// may be used from several threads, and while other programs use the store.
public struct Container: Sendable, Equatable {
    /// The ID, unique in the store.
    public let id: String
    /// The store that remembers the container.
    public let store: ContainerStore

    /// Containers are equal if their ID and the path of their store are equal.
    public static func == (one: Container, other: Container) -> Bool {
        one.id == other.id && one.store.path == other.store.path
    }

    package init(id: String, store: ContainerStore) {
        self.id = id
        self.store = store
    }

    /// Checks an ID: letters, digits, `_`, `+`, `-` and `.`, but not a name for a directory (`.`,
    /// `..`).
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
    /// The process is a child of the caller, and when it ends it is a zombie until the caller waits
    /// for it through `process`.
    /// - Throws: `alreadyExists`, `invalidSpec`, `unsupported`, `initFailed`, `executableNotFound`,
    ///   `cgroup` or `systemCall`, `timedOut` after `options.timeout`; nothing is left behind then.
    @discardableResult
    public static func create(
        _ id: String, from bundle: Bundle, in store: ContainerStore,
        options: LaunchOptions = LaunchOptions()
    ) throws(ContainerError) -> Container {
        let launcher = try Creation.launched(id, bundle, store, options, startsAtOnce: false)
        if let master = launcher.terminalMaster {
            // Only `run` and `exec` may return a master to the caller; `Creation` refuses that
            // option for create.
            launcher.close(master)
        }
        return Container(id: id, store: store)
    }

    /// Creates a container whose process waits for `start`, and returns that process.
    ///
    /// The caller must wait for the process. After a plain `create`, `process` returns it.
    /// - Throws: the errors of `create`.
    public static func createProcess(
        _ id: String, from bundle: Bundle, in store: ContainerStore,
        options: LaunchOptions = LaunchOptions()
    ) throws(ContainerError) -> (container: Container, process: ContainerProcess) {
        let process = ContainerProcess(
            taking: try Creation.launched(id, bundle, store, options, startsAtOnce: false))
        return (Container(id: id, store: store), process)
    }

    /// Creates and starts a container, and returns its process.
    ///
    /// - Throws: the errors of `create`.
    public static func run(
        _ id: String, from bundle: Bundle, in store: ContainerStore,
        options: LaunchOptions = LaunchOptions()
    ) throws(ContainerError) -> ContainerProcess {
        ContainerProcess(
            taking: try Creation.launched(id, bundle, store, options, startsAtOnce: true))
    }

    /// The plan of a `create`, both columns, without doing any of it.
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
#endif
