// SPDX-License-Identifier: Apache-2.0

// ContainerKit: containers as the OCI runtime specification describes them.
//
//   API/        what embedders use: Bundle, ContainerStore, Container, ContainerProcess, ContainerError
//   Planning/   spec -> plan, pure
//   Launching/  a plan becomes processes
//   Cgroups/    where a container is counted and limited
//   Systemd/    the scope of systemd that keeps a cgroup
//   Seccomp/    from a profile to a BPF program
//   Storage/    the state directory
//   Model/      signals, exit statuses, times, statistics
//   System/     typed system calls of the parent
//
// The library keeps no global state, installs no signal handler, never changes the directory of the
// host process and waits for no child but its own.

@_exported public import ByteText
@_exported public import InitProgram
@_exported public import RuntimeSpec
