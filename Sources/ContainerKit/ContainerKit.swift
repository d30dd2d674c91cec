// SPDX-License-Identifier: Apache-2.0

// ContainerKit: containers as the OCI runtime specification describes them.
//
//   API/             the public interface: Bundle, ContainerStore, Container, ContainerProcess
//   Planning/        makes a plan from a spec; pure
//   Launching/       the plan itself, and its execution
//   Children/        starts processes and reads their progress
//   Rootfs/          reads files of an image, and makes mount points in it
//   Checkpointing/   saves a running container to files and restores it, by CRIU
//   Hooks/           the config's programs at fixed points of a container's life
//   Foreground/      the caller's signals, streams and terminal
//   UserNamespaces/  ID maps
//   Network/         the devices of a network namespace
//   IntelRdt/        the groups of resctrl
//   Cgroups/         accounting, limits, freezing and killing by cgroup
//   Systemd/         requests to systemd over its bus
//   Seccomp/         compiles a profile to a BPF program
//   Host/            the features of this machine and the rights of this process
//   Storage/         the state directory
//   Model/           errors, options, signals, times, statistics
//   System/          typed system calls of the parent
//
// The library keeps no global state, installs no signal handler, never changes the working
// directory of the host process and waits for no child but its own.

@_exported public import RuntimeSpec

#if !os(Linux)
// What stands here on other systems: a message for who uses it, and the model of the config.

/// A container, where there are none.
@available(
    *, unavailable,
    message: """
        ContainerKit is empty on this system, since containers are Linux's: put what uses it between \
        #if os(Linux) and #endif
        """
)
public enum Container {}

/// The directory that remembers containers, where there are none.
@available(
    *, unavailable,
    message: """
        ContainerKit is empty on this system, since containers are Linux's: put what uses it between \
        #if os(Linux) and #endif
        """
)
public enum ContainerStore {}

/// A config with its root file system, where nothing runs it.
@available(
    *, unavailable,
    message: """
        ContainerKit is empty on this system, since containers are Linux's: put what uses it between \
        #if os(Linux) and #endif
        """
)
public enum ContainerBundle {}
#endif
