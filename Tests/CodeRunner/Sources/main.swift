// SPDX-License-Identifier: Apache-2.0

// A service that runs programs of others: POST a program and its input, get its output and how it
// ended.
//
//   Options      the command line
//   Submission   what a client posts
//   Verdict      what it gets
//   Limits       what a program may use
//   Sandbox      the config of a program's container
//   Slots        how many programs run, and how many wait
//   Runner       runs a submission in a container
//   Service      the routes
//   StateLock    the directory of the containers, and what a killed service left there

internal import ContainerKitAsync
internal import Glibc
internal import Hummingbird
internal import SystemPackage

func fail(_ text: String, status: Int32) -> Never {
    _ = try? FileDescriptor.standardError.writeAll("code-runner: \(text)\n".utf8)
    exit(status)
}

do {
    let options = try Options(Array(CommandLine.arguments.dropFirst()))
    if let program = options.printedProgram {
        print(try configText(program, options))
        exit(0)
    }
    try raiseDescriptorLimit()
    let store = ContainerStore(at: options.state)
    let lock = try StateLock(store)
    try lock.removeLeftovers()
    let runner = Runner(
        rootfs: options.rootfs, store: store, limits: options.limits,
        slots: Slots(running: options.sandboxes, waiting: options.waiting))
    try await service(runner, options).runService()
} catch let error as UsageError {
    fail("\(error.text)\n\(Options.usage)", status: 2)
} catch {
    fail("\(error)", status: 1)
}
