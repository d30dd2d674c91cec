// SPDX-License-Identifier: Apache-2.0

// ContainerKit: containers as the OCI runtime specification describes them.
//
//   API/             what embedders use: Bundle, ContainerStore, Container, ContainerProcess
//   Planning/        spec -> plan, pure
//   Launching/       a plan, and how it becomes processes
//   Children/        how a process is started, and how far it is
//   Rootfs/          what is read from an image, and made in it
//   Checkpointing/   a running container becomes files and runs again, by CRIU
//   Hooks/           the config's programs at fixed points of a container's life
//   Foreground/      the caller's signals, streams and terminal
//   UserNamespaces/  maps of ids
//   Network/         the devices of a network namespace
//   IntelRdt/        the groups of resctrl
//   Cgroups/         where a container is counted and limited
//   Systemd/         what is said to systemd, over its bus
//   Seccomp/         from a profile to a BPF program
//   Host/            what this machine has, and what this process may do
//   Storage/         the state directory
//   Model/           errors, options, signals, times, statistics
//   System/          typed system calls of the parent
//
// The library keeps no global state, installs no signal handler, never changes the directory of the
// host process and waits for no child but its own.

@_exported public import ByteText
@_exported public import RuntimeSpec
