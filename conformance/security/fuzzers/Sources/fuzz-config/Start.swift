// SPDX-License-Identifier: Apache-2.0

import FuzzRules

// Start.swift       what libFuzzer calls
// Reader.swift      JSON: reading, writing
// Documents.swift   config.json and the other documents of the specification

private nonisolated(unsafe) var watch = Watch(target)
private let target = Target.chosen(of: [.reader, .config, .documents])
private let mutator = Mutator()

@_cdecl("LLVMFuzzerTestOneInput")
func run(_ start: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    watch.run(start, size)
    return 0
}

@_cdecl("LLVMFuzzerCustomMutator")
func change(
    _ start: UnsafeMutablePointer<UInt8>, _ size: Int, _ room: Int, _ seed: CUnsignedInt
) -> Int {
    mutate(mutator, target, start, size, room, seed)
}

@_cdecl("LLVMFuzzerCustomCrossOver")
func combine(
    _ one: UnsafePointer<UInt8>?, _ size: Int, _ other: UnsafePointer<UInt8>?, _ otherSize: Int,
    _ output: UnsafeMutablePointer<UInt8>, _ room: Int, _ seed: CUnsignedInt
) -> Int {
    cross(mutator, target, (one, size), (other, otherSize), output, room, seed)
}
