// SPDX-License-Identifier: Apache-2.0

// ContainerKitAsync: containers for programs that use Swift's concurrency.
//
//   ContainerProcess+Termination  the end of a process, which many may await
//   ContainerEvents     what happens in a container, as a sequence
//   WithContainer       a scope that creates a container, and always ends and deletes it
//   ContainerRun        the life of the container of such a scope
//   RunningContainer    what can be done with it inside
//   RunningContainer+Exec  a further process in it
//   ContainerResult     what a scope gives, and a further process
//   ContainerInput, ContainerOutput  what its streams are
//   ContainerStreams    the descriptors that they become
//   OutputSequence      what a process writes, as it comes
//   InputWriter         what a process reads, as it is written
//   BlockingPool        few threads for calls that block
//   DescriptorPoller    one thread that waits for all descriptors
//   Waiter              a task that waits for something that happens once
//   HostCalls           descriptors, and threads of the host
//
// Nothing here blocks a thread of the cooperative pool. A program has one thread for all descriptors and at most
// twelve for what blocks, however many containers there are.

@_exported public import ContainerKit
