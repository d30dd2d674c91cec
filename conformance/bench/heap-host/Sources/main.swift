// SPDX-License-Identifier: Apache-2.0

// A host with a touched heap that runs containers: heap-host ROOTFS STORE MIB LAUNCHES
//
// Prints, in milliseconds: the median of the runs; then how long it takes to write to every page of the heap
// when nothing was launched before, and right after a launch.
import ContainerKit
import Glibc
import SystemPackage

let words = CommandLine.arguments
guard words.count == 5, let mebibytes = Int(words[3]), let launches = Int(words[4]), launches > 0
else {
    print("usage: heap-host ROOTFS STORE MIB LAUNCHES")
    exit(2)
}

func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    let span = try ContinuousClock().measure(body)
    return Double(span.components.attoseconds) / 1e15 + Double(span.components.seconds) * 1e3
}

func median(_ figures: [Double]) -> Double { figures.sorted()[figures.count / 2] }

let bytes = mebibytes << 20
let heap = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 1), alignment: 4096)
// With huge pages, the copy of a heap would look cheaper than it is for most hosts.
madvise(heap, bytes, MADV_NOHUGEPAGE)

func touch(_ heap: UnsafeMutableRawPointer, _ bytes: Int) {
    for offset in stride(from: 0, to: bytes, by: 4096) {
        heap.storeBytes(of: UInt8(truncatingIfNeeded: offset), toByteOffset: offset, as: UInt8.self)
    }
}

touch(heap, bytes)
var spec = Spec.template
spec.root = Root(path: words[1], readonly: true)
spec.process?.terminal = false
spec.process?.args = ["/bin/true"]
let store = ContainerStore(at: FilePath(words[2]))
let bundle = try Bundle(at: FilePath(words[1]), spec: spec)

func run(_ number: Int) throws {
    let id = "heap-\(getpid())-\(number)"
    let process = try Container.run(id, from: bundle, in: store)
    guard case .exited(0) = try process.wait() else { exit(1) }
    try store.container(id).delete()
}

try run(0)
touch(heap, bytes)
let before = (0..<launches).map { _ in milliseconds { touch(heap, bytes) } }
var runs: [Double] = []
var after: [Double] = []
for number in 1...launches {
    runs.append(try milliseconds { try run(number) })
    after.append(milliseconds { touch(heap, bytes) })
}
print(mebibytes, median(runs), median(before), median(after))
