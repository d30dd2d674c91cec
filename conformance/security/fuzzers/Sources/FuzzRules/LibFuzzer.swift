// SPDX-License-Identifier: Apache-2.0

/// libFuzzer's own change of bytes, for what is no document.
@_silgen_name("LLVMFuzzerMutate")
private func changeBytes(_ start: UnsafeMutablePointer<UInt8>, _ size: Int, _ room: Int) -> Int

/// Changes the tree, or the bytes.
package func mutate(
    _ mutator: Mutator, _ target: Target, _ start: UnsafeMutablePointer<UInt8>, _ size: Int,
    _ room: Int, _ seed: UInt32
) -> Int {
    let bytes = Array(UnsafeBufferPointer(start: start, count: size))
    guard seed % 4 < target.treeShare,
        let changed = mutator.changed(bytes, seed: seed, limitBytes: room)
    else { return changeBytes(start, size, room) }
    return store(changed, start)
}

/// Puts a part of one document into another; 0 leaves it to libFuzzer.
package func cross(
    _ mutator: Mutator, _ target: Target, _ one: (UnsafePointer<UInt8>?, Int),
    _ other: (UnsafePointer<UInt8>?, Int), _ output: UnsafeMutablePointer<UInt8>, _ room: Int,
    _ seed: UInt32
) -> Int {
    let (bytes, others) = (
        Array(UnsafeBufferPointer(start: one.0, count: one.1)),
        Array(UnsafeBufferPointer(start: other.0, count: other.1))
    )
    guard target.treeShare > 0,
        let crossed = mutator.crossed(bytes, others, seed: seed, limitBytes: room)
    else { return 0 }
    return store(crossed, output)
}

private func store(_ bytes: [UInt8], _ start: UnsafeMutablePointer<UInt8>) -> Int {
    for (index, byte) in bytes.enumerated() { start[index] = byte }
    return bytes.count
}
