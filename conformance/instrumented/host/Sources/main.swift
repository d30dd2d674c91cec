// SPDX-License-Identifier: Apache-2.0

// A host whose threads all launch containers: instrumented-host ROOTFS STORE THREADS LAUNCHES
//
// With 0 launches it deletes what an earlier one has left in the store.
import ContainerKit
import Foundation
import SystemPackage

let words = CommandLine.arguments
guard words.count == 5, let threads = Int(words[3]), let launches = Int(words[4]) else {
    print("usage: instrumented-host ROOTFS STORE THREADS LAUNCHES")
    exit(2)
}

var spec = Spec.template
spec.root = Root(path: words[1], readonly: true)
spec.process?.terminal = false
spec.process?.args = ["/bin/true"]
let store = ContainerStore(at: FilePath(words[2]))
let bundle = try ContainerKit.Bundle(at: FilePath(words[1]), spec: spec)

if launches == 0 {
    for state in try store.states() { try store.container(state.id).delete(force: true) }
    exit(0)
}

/// The launches of one thread.
@Sendable func launchAll(
    _ thread: Int, of bundle: ContainerKit.Bundle, in store: ContainerStore, count: Int
) {
    do throws(ContainerError) {
        for number in 0..<count {
            let id = "instrumented-\(getpid())-\(thread)-\(number)"
            let process = try Container.run(id, from: bundle, in: store)
            let end = try process.wait()
            guard case .exited(0) = end else {
                print("\(id): \(end)")
                exit(1)
            }
            try store.container(id).delete()
        }
    } catch {
        print("\(error.code): \(error)")
        exit(1)
    }
}

let running = DispatchGroup()
for thread in 0..<threads {
    running.enter()
    let (bundle, store) = (bundle, store)
    Thread.detachNewThread {
        launchAll(thread, of: bundle, in: store, count: launches)
        running.leave()
    }
}
running.wait()
print("\(threads * launches) launches of \(threads) threads")
