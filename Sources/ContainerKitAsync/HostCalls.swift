// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit
internal import SystemPackage

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

// MARK: - Descriptors

/// The error of a call that has just failed.
func refusal(_ call: String, _ arguments: String = "") -> ContainerError {
    refusal(SystemCallError(call, arguments, errno: Errno(rawValue: errno)))
}

private func refusal(_ failure: SystemCallError) -> ContainerError {
    ContainerError(.systemCall, "unable to connect the streams", failure: failure)
}

/// Makes a pipe with O_CLOEXEC, so that programs started at the same time do not inherit it.
func makeStreamPipe() throws(ContainerError) -> (reader: HeldDescriptor, writer: HeldDescriptor) {
    do throws(SystemCallError) {
        let (reader, writer) = try makePipe()
        return (HeldDescriptor(taking: reader), HeldDescriptor(taking: writer))
    } catch {
        throw refusal(error)
    }
}

/// Sets O_NONBLOCK for this end of a pipe; the other end has its own flags.
func makeNonBlocking(_ descriptor: HeldDescriptor) throws(ContainerError) {
    do throws(SystemCallError) {
        try makeNonBlocking(descriptor.number)
    } catch {
        throw refusal(error)
    }
}

/// Opens /dev/null.
func openNullDevice() throws(ContainerError) -> HeldDescriptor {
    let number = open("/dev/null", O_RDWR | O_CLOEXEC)
    guard number >= 0 else { throw refusal("open", "\"/dev/null\"") }
    return HeldDescriptor(taking: number)
}

/// Reads up to `limit` bytes: empty at the end of file, nil if there is nothing to read yet.
func readAvailable(_ descriptor: HeldDescriptor, limit: Int = 65536) throws(ContainerError)
    -> [UInt8]?
{
    var number = -1
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
        repeat {
            number = read(descriptor.number, buffer.baseAddress, limit)
        } while number < 0 && errno == EINTR
        count = max(0, number)
    }
    if number >= 0 { return bytes }
    if errno == EAGAIN { return nil }
    throw refusal("read", "descriptor \(descriptor.number)")
}

/// The result of a write.
enum WriteOutcome {
    case written(Int)
    case full
    /// The other end is closed.
    case unread
}

/// Writes as much as fits, without sending SIGPIPE to the host program.
///
/// The kernel would send the signal to this thread, so it is blocked here, and removed if it came.
func writeAvailable(_ bytes: ArraySlice<UInt8>, to descriptor: HeldDescriptor)
    throws(ContainerError) -> WriteOutcome
{
    var pipeSignal = sigset_t()
    var former = sigset_t()
    var pending = sigset_t()
    sigemptyset(&pipeSignal)
    sigaddset(&pipeSignal, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &pipeSignal, &former)
    defer { pthread_sigmask(SIG_SETMASK, &former, nil) }
    sigpending(&pending)
    let wasPending = sigismember(&pending, SIGPIPE) == 1
    var number = -1
    repeat {
        number = bytes.withUnsafeBytes { write(descriptor.number, $0.baseAddress, $0.count) }
    } while number < 0 && errno == EINTR
    if number >= 0 { return .written(number) }
    switch errno {
    case EAGAIN: return .full
    case EPIPE:
        var none = timespec()
        if !wasPending { while sigtimedwait(&pipeSignal, nil, &none) < 0, errno == EINTR {} }
        return .unread
    default: throw refusal("write", "descriptor \(descriptor.number)")
    }
}

// MARK: - Threads

/// Starts a thread with all signals blocked except those for faults; the host's threads handle
/// signals.
///
/// - Returns: whether it could be started.
func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
    final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var blocked = sigset_t()
    var former = sigset_t()
    sigfillset(&blocked)
    for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS] {
        sigdelset(&blocked, signal)
    }
    pthread_sigmask(SIG_SETMASK, &blocked, &former)
    defer { pthread_sigmask(SIG_SETMASK, &former, nil) }
    var thread = pthread_t()
    let box = Unmanaged<AnyObject>.passRetained(Box(body))
    let result = pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            let box = Unmanaged<AnyObject>.fromOpaque(argument).takeRetainedValue()
            (box as? Box)?.body()
            return nil
        }, box.toOpaque())
    guard result == 0 else {
        box.release()
        return false
    }
    pthread_detach(thread)
    return true
}

/// A counting semaphore for threads.
final class Semaphore: @unchecked Sendable {
    private let place = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() {
        sem_init(place, 0, 0)
    }

    deinit {
        sem_destroy(place)
        place.deallocate()
    }

    func post() { sem_post(place) }

    func wait() {
        while sem_wait(place) < 0, errno == EINTR {}
    }
}
#endif
