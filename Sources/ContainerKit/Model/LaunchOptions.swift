// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ByteText
internal import CLinux
public import Logging
public import RuntimeSpec
public import SystemPackage

/// The source of the standard streams of a container's process.
public enum ProcessIO: Sendable, Equatable {
    /// The caller's own 0, 1 and 2.
    case inherit
    /// Open descriptors of the caller, who must close them.
    case descriptors(input: CInt, output: CInt, error: CInt)
}

/// The receiver of the master of a container's terminal.
public enum TerminalOutlet: Sendable, Equatable {
    /// The listener of this unix socket: one SCM_RIGHTS message with one descriptor.
    case consoleSocket(FilePath)
    /// The caller: `ContainerProcess.terminalMaster`.
    case master
}

/// The manager of a new container's cgroup.
public enum CgroupDriver: Sendable, Equatable {
    /// This library, through the cgroup file systems.
    case cgroupfs
    /// systemd, as a scope; `linux.cgroupsPath` then has the form `slice:prefix:name`.
    case systemd
}

/// Sockets passed by a service manager: the first of the preserved descriptors.
///
/// Source: sd_listen_fds(3).
public struct SocketActivation: Sendable, Equatable {
    /// The number of sockets, from descriptor 3 on.
    public var count: Int
    /// The names of the sockets, separated by colons.
    public var names: ByteText?

    /// A number of sockets, with their names if they have any.
    public init(count: Int, names: ByteText? = nil) {
        self.count = count
        self.names = names
    }

    /// The variables that tell the container's process about them; its init counts as process 1, as
    /// with runc.
    var environment: [ByteText] {
        let variables: [ByteText] = ["LISTEN_FDS=\(count)", "LISTEN_PID=1"]
        guard let names else { return variables }
        return variables + [ByteText(bytes: Array("LISTEN_FDNAMES=".utf8) + names.bytes)]
    }
}

/// The caller's options for create, run or exec.
public struct LaunchOptions: Sendable {
    /// The standard streams; a terminal replaces them.
    public var io: ProcessIO = .inherit
    /// The receiver of the terminal; required if `process.terminal` is true, refused otherwise.
    public var terminal: TerminalOutlet?
    /// A file for the pid, in decimal digits without a newline; replaced atomically.
    public var pidFile: FilePath?
    /// A unix socket to which a pidfd of the process is sent: one SCM_RIGHTS message with one
    /// descriptor.
    public var pidfdSocket: FilePath?
    /// Listening sockets that a service manager has passed to the caller, for a new container's
    /// process.
    public var activation: SocketActivation?
    /// The socket of the service manager to notify when a new container's process is ready
    /// (NOTIFY_SOCKET); for a container that is only created, `start` needs it again.
    public var notifySocket: String?
    /// The number of descriptors from 3 on that the process inherits; they must not be
    /// close-on-exec.
    public var preservedDescriptorCount = 0
    /// Whether the container keeps the caller's session keyring instead of getting its own.
    public var keepsSessionKeyring = false
    /// Whether `exec` accepts a paused container: the process then freezes when it enters the
    /// cgroup, and the call returns after the container is resumed.
    public var ignoresPause = false
    /// Whether a new container's root is moved over the host's instead of being changed by
    /// pivot_root(2).
    ///
    /// For a host that runs from the initial ramfs. It is less safe: the host's tree still exists,
    /// hidden under the container's root.
    public var movesRoot = false
    /// The manager of a new container's cgroup; later operations read it from the state.
    public var cgroupDriver = CgroupDriver.cgroupfs
    /// An existing cgroup for a new container, instead of one that is made for it and removed with
    /// it; for the driver `cgroupfs`.
    ///
    /// `linux.cgroupsPath` must be left out, or name the same cgroup. `exec` reads the cgroup from
    /// the state, and `restore` refuses this option.
    public var adoptedCgroup: AdoptedCgroup?
    /// Whether the cgroup of a new container stays after its end and until `delete`, also with the
    /// driver of systemd, which removes a scope without processes.
    ///
    /// Only then has such a container statistics, and a known number of OOM kills, after its end. A
    /// process of the runtime stays in the scope, in a cgroup beside the container's: none of the
    /// container's limits, counters and lists of processes include it, and systemd counts it as one
    /// task. It needs cgroup v2 alone, and `restore` refuses it. With the driver `cgroupfs` the
    /// cgroup stays anyway.
    public var keepsAccounting = false
    /// Whether a new container without `linux.cgroupsPath` may do without cgroups that the runtime
    /// cannot make; limits that need them are then refused.
    ///
    /// Nil means yes for an ordinary user and for root of a user namespace.
    public var rootless: Bool?
    /// Existing cgroups below the container's into which `exec` puts its process.
    ///
    /// The empty key means one path for every hierarchy, the only form on cgroup v2; other keys are
    /// controllers. A path must not lead above the container's cgroup.
    public var subcgroups: [String: String] = [:]
    /// Limits for the process if its config does not set them: the original limits of a caller that
    /// has changed its own.
    public var limits: [Rlimit] = []
    /// Whether `exec` reads the number of OOM kills before it starts, so that the termination of
    /// its process counts only later ones.
    public var countsOutOfMemoryAnew = false
    /// How long a create, run or exec may take until the program is started, or waits for `start`,
    /// and a restore until the processes go on; nil means for ever.
    ///
    /// After that the call fails with `timedOut`, names the step that init or a hook is at, and
    /// leaves nothing behind. The program's own time is not limited, poststart hooks are.
    ///
    /// Where the kernel does not let go of a process, as on a file system that does not answer, the
    /// error says so and names it. If that is the container's init, the container remains, for
    /// `delete` to remove once the process has ended.
    public var timeout: Duration?
    /// Records where the time goes, and tells hooks of the trace that this launch is part of; nil
    /// costs nothing.
    public var trace: LaunchTrace?
    /// The limit of the call that these options are given to, once that has begun.
    var timeLimit: TimeLimit?
    /// Returns how a child has ended, by its pid, if another part of this program has taken its
    /// status.
    ///
    /// It is for a program that waits for all its children, as process 1 does. It is called once,
    /// when the end is first asked for, and may block until the status is known. If it returns nil,
    /// the kernel is asked, which knows the status from Linux 6.15 on.
    public var reapedStatus: (@Sendable (Int32) -> ExitStatus?)?
    /// Whether this program starts itself again, sealed, before a container's process becomes a
    /// copy of it.
    ///
    /// Such a process is born empty, unless the host refuses executable memory files. Only in that
    /// case, `create`, `run` and `exec` undo their work and execute the program anew, like
    /// `SealedExecutable`. This is for programs that do nothing else and have one thread.
    public var startsAgainSealed = false
    /// Receives debug lines and warnings.
    public var logger = Logger(label: "ContainerKit") { _ in SwiftLogNoOpLogHandler() }

    /// The caller's own streams, no terminal, no pid file.
    public init() {}
}

extension LaunchOptions {
    /// These options for a call that begins now.
    func beginning() throws(ContainerError) -> LaunchOptions {
        guard let timeout else { return self }
        var options = self
        options.timeLimit = try TimeLimit(checking: timeout)
        return options
    }

    /// Checks the descriptors to preserve, before the runtime opens any of its own.
    ///
    /// If one of them is not open or is close-on-exec, a descriptor of the runtime could take its
    /// place and be passed to the container.
    func checkPreservedDescriptors() throws(ContainerError) {
        // More descriptors than any process can have, and too few to overflow the plan's sums.
        guard (0...1 << 30).contains(preservedDescriptorCount) else {
            throw ContainerError(
                .invalidArgument,
                "\(preservedDescriptorCount) descriptors cannot be preserved: no process has as many"
            )
        }
        for number in 3..<(3 + preservedDescriptorCount) {
            guard isOpenForPrograms(number) else {
                throw ContainerError(
                    .invalidArgument,
                    "descriptor \(number), which is to be preserved, is not open for the container",
                    hint: "descriptors 3 to \(2 + preservedDescriptorCount) must be open and not "
                        + "close-on-exec")
            }
        }
    }
}

extension TimeLimit {
    /// A limit that begins now.
    ///
    /// - Throws: `invalidArgument` for one that leaves no time.
    init(checking length: Duration) throws(ContainerError) {
        guard length > .zero else {
            throw ContainerError(.invalidArgument, "a timeout must be longer than 0")
        }
        self.init(length)
    }

    /// The error when the time is over: what is still done, and the config field that asks for it.
    func passed(
        _ what: String, field: String? = nil, failure: SystemCallError? = nil, hint: String? = nil
    ) -> ContainerError {
        ContainerError(
            .timedOut, "timeout of \(self): \(what)", field: field, failure: failure, hint: hint)
    }
}
#endif
