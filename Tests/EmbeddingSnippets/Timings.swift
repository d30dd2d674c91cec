// SPDX-License-Identifier: Apache-2.0

// The code of the article on timings; a test compares them.

internal import ContainerKitAsync

// Runs a container, and prints where the time of its launch went.
func timed(_ id: String, _ bundle: ContainerBundle, in store: ContainerStore) throws
    -> ContainerProcess
{
    let trace = LaunchTrace()
    var options = LaunchOptions()
    options.trace = trace
    let process = try Container.run(id, from: bundle, in: store, options: options)
    for span in trace.spans { print(span.name, span.end - span.start, span.step) }
    return process
}
