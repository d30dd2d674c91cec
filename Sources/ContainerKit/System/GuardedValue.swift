// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import Synchronization

/// A value behind a mutex that ThreadSanitizer understands.
///
/// The part of the standard library's `Mutex` that waits is not instrumented (Swift 6.3, Linux). So
/// after each wait ThreadSanitizer would report races that are none, in every program that embeds
/// this library and is tested with it. The atomic `turn` tells it of the order that the mutex
/// gives.
package struct GuardedValue<Value: ~Copyable>: ~Copyable, Sendable {
    private let mutex: Mutex<Value>
    private let turn = Atomic<Bool>(false)

    /// A value that only `withLock` reads and changes.
    package init(_ value: consuming sending Value) {
        mutex = Mutex(value)
    }

    /// Calls `body` with the value; no other thread has it meanwhile.
    package borrowing func withLock<Result: ~Copyable, Failure>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        try mutex.withLock { (value) throws(Failure) in
            _ = turn.load(ordering: .acquiring)
            defer { turn.store(false, ordering: .releasing) }
            return try body(&value)
        }
    }
}
#endif
