// SPDX-License-Identifier: Apache-2.0

// ContainerKitAsync: containers for programs that use Swift's concurrency.
//
//   ContainerProcess+Termination  the end of a process, which many tasks may await
//   ContainerEvents     what happens in a container, as a sequence
//   WithContainer       creates a container for a body, and always ends and deletes it
//   ContainerRun        the life of that container
//   RunningContainer    what the body can do with the container
//   RunningContainer+Exec  runs another process in it
//   ContainerResult     the result of withContainer, and of another process
//   ContainerInput, ContainerOutput  the choices for the standard streams
//   ContainerStreams    the descriptors made from these choices
//   OutputSequence      the output of a process, as a sequence
//   InputWriter         writes the input of a process
//   BlockingPool        a few threads for calls that block
//   DescriptorBudget    lets launches begin only while they leave room for descriptors
//   DescriptorPoller    one thread that waits for all descriptors
//   Waiter              a task that waits for an event that happens once
//   HostCalls           system calls for descriptors and threads
//
// Nothing here blocks a thread of Swift's cooperative pool. A program has one thread for all
// descriptors, and at most twelve threads for blocking calls, however many containers there are.

@_exported public import ContainerKit
