// SPDX-License-Identifier: Apache-2.0

// Runs a program in a container: EmbeddingExample ROOTFS PROGRAM [ARGUMENT...]
internal import ContainerKit
internal import Glibc
internal import SystemPackage

let words = CommandLine.arguments
guard words.count > 2 else {
    print("usage: EmbeddingExample ROOTFS PROGRAM [ARGUMENT...]")
    exit(2)
}

// The config as a value: nothing is read from a file.
var spec = Spec.template
spec.process?.terminal = false
spec.process?.args = Array(words[2...])
spec.linux?.resources = Resources(pids: PidsResources(limit: 64))

do throws(ContainerError) {
    let store = ContainerStore(at: "/run/embedding-example")
    let bundle = try Bundle(rootfs: FilePath(words[1]), spec: spec)

    // The caller waits for its own child only; no signal handler, no thread, no global state.
    let process = try Container.run("example", from: bundle, in: store)
    print("ended:", try process.wait())
    try store.container("example").delete()
} catch {
    // A program reads `code`, a person the rest.
    print("\(error.code): \(error)")
    if let hint = error.hint { print("hint: \(hint)") }
    exit(1)
}
