// SPDX-License-Identifier: Apache-2.0

// Addresses of memory for system calls. The closures use typed errors.

#if os(Linux)
/// Calls `body` with the address of a value, for a call that reads or fills a structure.
func withAddress<Value, Result>(
    of value: inout Value, _ body: (Int) throws(SystemCallError) -> Result
) throws(SystemCallError) -> Result {
    try withUnsafeMutablePointer(to: &value) { (pointer) throws(SystemCallError) in
        try body(Int(bitPattern: pointer))
    }
}

/// Calls `body` with the address and number of an array's elements.
@inline(__always)
func withAddress<Element, Result>(
    ofElements elements: [Element], _ body: (Int, Int) throws(SystemCallError) -> Result
) throws(SystemCallError) -> Result {
    try elements.withUnsafeBufferPointer { (buffer) throws(SystemCallError) in
        try body(Int(bitPattern: buffer.baseAddress), buffer.count)
    }
}

/// Calls `body` with the address and number of a slice's elements.
@inline(__always)
func withAddress<Element, Result>(
    ofElements elements: ArraySlice<Element>,
    _ body: (Int, Int) throws(SystemCallError) -> Result
) throws(SystemCallError) -> Result {
    try elements.withUnsafeBufferPointer { (buffer) throws(SystemCallError) in
        try body(Int(bitPattern: buffer.baseAddress), buffer.count)
    }
}

/// Calls `body` with the address and number of an array's elements, for a call that fills them.
@inline(__always)
func withAddress<Element, Result>(
    ofElements elements: inout [Element], _ body: (Int, Int) throws(SystemCallError) -> Result
) throws(SystemCallError) -> Result {
    try elements.withUnsafeMutableBufferPointer { (buffer) throws(SystemCallError) in
        try body(Int(bitPattern: buffer.baseAddress), buffer.count)
    }
}

/// Calls `body` with the address and number of a text's UTF-8 bytes.
func withAddress<Result>(
    ofText text: String, _ body: (Int, Int) throws(SystemCallError) -> Result
) throws(SystemCallError) -> Result {
    var copy = text
    // `withUTF8` rethrows untyped errors, so the result is carried out of it.
    let outcome: Swift.Result<Result, SystemCallError> = copy.withUTF8 { bytes in
        do throws(SystemCallError) {
            return .success(try body(Int(bitPattern: bytes.baseAddress), bytes.count))
        } catch {
            return .failure(error)
        }
    }
    return try outcome.get()
}

/// Calls `body` with the address of `string` as NUL-terminated bytes.
func withPath<Result>(_ string: String, _ body: (Int) throws(SystemCallError) -> Result)
    throws(SystemCallError) -> Result
{
    try withAddress(ofText: string + "\0") { (address, _) throws(SystemCallError) in
        try body(address)
    }
}

/// The bytes written by a call, which returns how many of `room` it has filled.
@inline(__always)
func bytes(
    atMost room: Int, _ fill: (_ address: Int, _ room: Int) throws(SystemCallError) -> Int
) throws(SystemCallError) -> [UInt8] {
    try [UInt8](capacity: room) { (output) throws(SystemCallError) in
        try output.withUnsafeMutableBufferPointer { (buffer, count) throws(SystemCallError) in
            count = try fill(Int(bitPattern: buffer.baseAddress), room)
        }
    }
}
#endif
