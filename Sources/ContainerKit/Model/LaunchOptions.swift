// SPDX-License-Identifier: Apache-2.0

public import ByteText
internal import CLinux
public import Logging
public import RuntimeSpec
public import SystemPackage

/// Where the standard streams of a container's process come from.
public enum ProcessIO: Sendable, Equatable {
    /// The caller's own 0, 1 and 2.
    case inherit
    /// Open descriptors of the caller, which keeps them.
    case descriptors(input: CInt, output: CInt, error: CInt)
}

/// Where the master of a container's terminal goes.
public enum TerminalOutlet: Sendable, Equatable {
    /// To whoever listens on this unix socket: one SCM_RIGHTS message with one descriptor.
    case consoleSocket(FilePath)
    /// To the caller: `ContainerProcess.terminalMaster`.
    case master
}

/// Who makes and keeps the cgroup of a new container.
public enum CgroupDriver: Sendable, Equatable {
    /// This library, in the cgroup file systems.
    case cgroupfs
    /// systemd, as a scope: `linux.cgroupsPath` is `slice:prefix:name` then.
    case systemd
}

/// Sockets that a service manager handed over: the first of the preserved descriptors.
///
/// Source: sd_listen_fds(3).
public struct SocketActivation: Sendable, Equatable {
    /// How many there are, from descriptor 3 on.
    public var count: Int
    /// Their names, with colons between them.
    public var names: ByteText?

    /// That many sockets, with their names if they have any.
    public init(count: Int, names: ByteText? = nil) {
        self.count = count
        self.names = names
    }

    /// What tells the container's process of them; its init is taken to be process 1, as with runc.
    var environment: [ByteText] {
        let variables: [ByteText] = ["LISTEN_FDS=\(count)", "LISTEN_PID=1"]
        guard let names else { return variables }
        return variables + [ByteText(bytes: Array("LISTEN_FDNAMES=".utf8) + names.bytes)]
    }
}

/// What the caller of create, run or exec chooses.
public struct LaunchOptions: Sendable {
    /// The standard streams; a terminal takes their place.
    public var io: ProcessIO = .inherit
    /// Where the terminal goes; needed when `process.terminal` is true, refused when it is not.
    public var terminal: TerminalOutlet?
    /// A file that gets the pid: decimal digits, no newline, replaced atomically.
    public var pidFile: FilePath?
    /// A unix socket that is sent a pidfd of the process: one SCM_RIGHTS message with one descriptor.
    public var pidfdSocket: FilePath?
    /// Listening sockets that a service manager handed to the caller, for a new container's process.
    public var activation: SocketActivation?
    /// The socket of a service manager that shall know when a new container's process is ready, as
    /// NOTIFY_SOCKET has it; for a container that is only created, `start` is given it again.
    public var notifySocket: String?
    /// How many descriptors from 3 on the process inherits; they must not be close-on-exec.
    public var preservedDescriptorCount = 0
    /// Whether the container keeps the caller's session keyring instead of getting its own.
    public var keepsSessionKeyring = false
    /// Whether `exec` takes a paused container; its process stops as soon as it is in the cgroup, and
    /// the call goes on when the container is resumed.
    public var ignoresPause = false
    /// Whether a new container's root is moved over the host's, which stays hidden under it, instead
    /// of being changed by pivot_root(2).
    ///
    /// For a host that runs from the initial ramfs. It is less safe: what the container should never
    /// see again is still there.
    public var movesRoot = false
    /// Who makes the cgroup of a new container; later operations know it from its state.
    public var cgroupDriver = CgroupDriver.cgroupfs
    /// Whether a new container without `linux.cgroupsPath` goes without the cgroups that the runtime may
    /// not make; limits that would need them are refused then.
    ///
    /// Nil: yes for an ordinary user, and for root of a user namespace.
    public var rootless: Bool?
    /// Existing cgroups below the container's that `exec` puts its process into.
    ///
    /// Under the empty name one path for every hierarchy, the only form of cgroup v2; else a path for
    /// each controller that is named. A path never leads above the container's cgroup.
    public var subcgroups: [String: String] = [:]
    /// Limits that the process gets where its config says nothing of them: the former ones of a caller
    /// that has changed its own.
    public var limits: [Rlimit] = []
    /// Whether `exec` looks how often the container has run out of memory before, so that the termination of
    /// its process tells of later times alone.
    public var countsOutOfMemoryAnew = false
    /// Asked how a child has ended, by its pid, where somebody else in this program has taken its status:
    /// for a program that waits for all its children, as process 1 does.
    ///
    /// It is called once, by whoever is the first to ask for the end, and may wait until the status is there.
    /// Nil as an answer means that the kernel is asked, which tells from Linux 6.15 on.
    public var reapedStatus: (@Sendable (Int32) -> ExitStatus?)?
    /// Whether this program starts itself again, sealed, before a container's process becomes a copy of it.
    ///
    /// Such a process is born empty, unless the host refuses executable files in memory. Only where it does,
    /// `create`, `run` and `exec` then take back what they have done so far and execute the program anew, as
    /// `SealedExecutable` has it: for programs that do nothing else, with one thread.
    public var startsAgainSealed = false
    /// Takes debug lines and warnings.
    public var logger = Logger(label: "ContainerKit") { _ in SwiftLogNoOpLogHandler() }

    /// The caller's own streams, no terminal, no pid file.
    public init() {}
}

extension LaunchOptions {
    /// Checks the descriptors to preserve, before the runtime opens any of its own.
    ///
    /// One that is not open, or would be closed by execve, is not the caller's: a descriptor of the
    /// runtime would be handed to the container in its place.
    func checkPreservedDescriptors() throws(ContainerError) {
        // More than any process can have open, and far from where the sums of the plan would overflow.
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
