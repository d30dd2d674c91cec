// SPDX-License-Identifier: Apache-2.0

// The steps of the child: one file per theme, with everything about its steps.
//
//   ChildStep       what a theme is; a refused call
//   ProcessStep     the process itself: descriptors, session, cgroups, signals
//   AttributeStep   CPU time, memory, limits, execution domain
//   ExchangeStep    child and runtime wait for each other
//   HookStep        hooks in the container's namespaces
//   NamespaceStep   namespaces, and what belongs to them
//   RootStep        the root file system
//   MountStep       file systems and trees
//   MaskedPathStep  masked and read-only paths
//   FileStep        links, directories, kernel parameters
//   DeviceStep      device nodes
//   TerminalStep    the terminal
//   StreamStep      the standard streams
//   IdentityStep    IDs, groups, capabilities
//   LabelStep       labels of security modules
//   LandlockStep    access that the process gives up itself
//   FilterStep      the filter of system calls
//   ExecutionStep   the working directory and the program

#if os(Linux)
internal import KernelVocabulary
package import SystemPackage

/// The steps of one theme: each requirement is a switch over its cases, without a default.
package protocol ChildStep: Equatable, Sendable {
    /// One line that says what the step does.
    var sentence: String { get }

    /// The inherited descriptors that the step needs, unless an earlier step opens them.
    ///
    /// The descriptors that a phase keeps open are derived from this.
    var inputs: [InheritedDescriptor] { get }

    /// The messages that it sends and receives, in order, except a request for a mount point.
    var exchanges: [Exchange] { get }

    /// Whether it resolves paths below the root, or enters the root.
    var usesRoot: Bool { get }

    /// The destination of a mount of the config that it changes, or in which it makes files.
    var usedMount: String? { get }

    /// Adds the step's instructions.
    func lower(into code: inout Assembler, _ state: inout LoweringState)

    /// The reason why the kernel refused one of its calls; nil if the errno says enough.
    ///
    /// There may be several reasons: a hint lists the common ones, or says when it applies. It is
    /// also used when the plan is gone, so it depends on the theme alone.
    static func hint(for refusal: Refusal) -> String?
}

/// A call of a step that the kernel refused.
package struct Refusal {
    /// The name of the call.
    package let call: String
    /// The arguments as text.
    package let arguments: String
    /// The program's note on the call.
    package let note: String
    /// The error that the kernel returned.
    package let errno: Errno
    /// Whether this kernel lacks a kind of namespace.
    package let lacks: (NamespaceKind) -> Bool

    /// A refused call.
    package init(
        _ call: String, _ arguments: String, note: String = "", errno: Errno,
        lacks: @escaping (NamespaceKind) -> Bool = { _ in false }
    ) {
        self.call = call
        self.arguments = arguments
        self.note = note
        self.errno = errno
        self.lacks = lacks
    }

    /// Whether a flag is among the arguments.
    func names(_ flag: CloneFlags) -> Bool {
        let name = flag.description
        return arguments.parts(between: " ").contains { part in
            String(part).parts(between: "|").contains { $0 == name || $0 == name + "," }
        }
    }
}

// MARK: - What several themes share

extension Refusal {
    static let searchHint =
        "each directory on the way must let the container's root search it (chmod o+x)"

    /// The reason why the user or group IDs cannot be set.
    var idHint: String? {
        switch (call, errno) {
        case ("setgroups", .invalidArgument), ("setuid", .invalidArgument),
            ("setgid", .invalidArgument):
            "the id has no mapping in the user namespace that the process is in"
        case ("setgroups", .notPermitted):
            "it takes CAP_SETGID, and a user namespace that does not deny groups (/proc/self/setgroups)"
        case ("setgid", .notPermitted): "it takes CAP_SETGID"
        case ("setuid", .notPermitted): "it takes CAP_SETUID"
        default: nil
        }
    }

    /// The reason why a mount, or making its mount point, failed.
    package var mountHint: String? {
        switch (call, errno) {
        case ("fsconfig", .invalidArgument) where !note.isEmpty, ("fsetxattr", .invalidArgument):
            "the policy does not know the label (linux.mountLabel, or an option of the mount)"
        case ("fsconfig", .invalidArgument) where arguments.utf8.contains(UInt8(ascii: "\"")):
            "the file system does not know the option, or does not take its value"
        case ("fsopen", .notPermitted):
            "it takes CAP_SYS_ADMIN in the user namespace that the mounts belong to"
        case ("fsconfig", .notPermitted), ("mount", .notPermitted):
            "a user namespace may mount tmpfs, overlay and such, proc with a pid namespace of its own, "
                + "sysfs with a network namespace, mqueue with an ipc namespace; nothing that is on a device"
        case ("fsmount", .notPermitted):
            "in a user namespace proc and sysfs may be mounted only where those of the host are not "
                + "partly covered by other mounts"
        case ("fsopen", .operationNotSupportedByDevice)
        where ["FSOPEN_CLOEXEC", "\"none\", FSOPEN_CLOEXEC"].contains(arguments):
            "to show a file or directory of the host takes the option bind or rbind"
        case ("fsopen", .operationNotSupportedByDevice):
            "this kernel does not know the file system type, or lacks its module"
        case ("move_mount", .tooManySymbolicLinkLevels):
            "the destination is inside of what is mounted there"
        case ("move_mount", .noSpace), ("fsmount", .noSpace): Self.mostMounts
        case ("mkdirat", .permissionDenied), ("mknodat", .permissionDenied), ("mkdirat", .overflow),
            ("mknodat", .overflow):
            "the container's root user may not write there: does it own the rootfs?"
        case ("mkdirat", .readOnlyFileSystem), ("mknodat", .readOnlyFileSystem):
            "what is missing cannot be made, since the file system there is read-only: the rootfs, or an "
                + "earlier mount, must have it already"
        case ("openat2", .notDirectory): "something on the way there is a file"
        case ("openat2", .tooManySymbolicLinkLevels):
            "a link is on the way where none may be, or too many are"
        default: treeHint
        }
    }

    private static let mostMounts =
        "a mount namespace has no more mounts than the sysctl fs.mount-max says"

    /// The reason why a mount tree cannot be cloned or changed.
    package var treeHint: String? {
        switch (call, errno) {
        case ("open_tree", .noSpace): Self.mostMounts
        case ("open_tree", .invalidArgument):
            "if the runtime is in a user namespace, it may show a tree of the host only with all that "
                + "is mounted below: use rbind; and a mount that is unbindable is never cloned"
        case ("mount_setattr", .notPermitted):
            "in a user namespace a mount of the host keeps its ro, nosuid, nodev, noexec and atime "
                + "options"
        default: nil
        }
    }
}
#endif
