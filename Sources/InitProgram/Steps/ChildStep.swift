// SPDX-License-Identifier: Apache-2.0

// The steps of the child: a file a theme, with everything of its steps.
//
//   ChildStep       what a theme is; a refused call
//   ProcessStep     the process itself: descriptors, session, cgroups, signals
//   AttributeStep   CPU time, memory, limits, execution domain
//   ExchangeStep    child and runtime wait for each other
//   HookStep        hooks in the container's namespaces
//   NamespaceStep   namespaces, and what belongs to them
//   RootStep        the root file system
//   MountStep       file systems and trees
//   HiddenPathStep  masked and read-only paths
//   FileStep        links, directories, kernel parameters
//   DeviceStep      device nodes
//   TerminalStep    the terminal
//   StreamStep      the standard streams
//   IdentityStep    ids, groups, capabilities
//   LabelStep       labels of security modules
//   FilterStep      the filter of system calls
//   ExecutionStep   the working directory and the program

internal import KernelVocabulary
package import SystemPackage

/// Everything of one theme's steps: a switch over its cases for each of these, none of them with a default.
package protocol ChildStep: Equatable, Sendable {
    /// One line that tells what the step does.
    var sentence: String { get }

    /// What it needs to be open that it does not open itself, and that no step before it opens.
    ///
    /// What a phase keeps open is derived from this.
    var inputs: [InheritedDescriptor] { get }

    /// What it tells the runtime and hears of it, in order; but for a mount point that it asks for.
    var exchanges: [Exchange] { get }

    /// Whether it resolves paths below the root, or enters that.
    var usesRoot: Bool { get }

    /// The destination of a mount of the config that it changes, or makes something in.
    var usedMount: String? { get }

    /// Adds its instructions.
    func lower(into code: inout Assembler, _ state: inout LoweringState)

    /// What it means that the kernel refuses one of its calls; nil where the errno says enough.
    ///
    /// The kernel may have several reasons: a hint names all that people meet, or says when it holds. It is
    /// also asked for when the plan is gone, so it knows no more of the step than its theme.
    static func hint(for refusal: Refusal) -> String?
}

/// A call of a step that the kernel refused.
package struct Refusal {
    /// The name of the call.
    package let call: String
    /// Its arguments, as they print.
    package let arguments: String
    /// What the program says of it.
    package let note: String
    /// The kernel's answer.
    package let errno: Errno
    /// Whether this kernel has no namespaces of a kind.
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

    /// Why one does not become a user or a group.
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

    /// Why something is not mounted, or the place for it not made.
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

    /// Why a tree of mounts cannot be cloned or changed.
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
