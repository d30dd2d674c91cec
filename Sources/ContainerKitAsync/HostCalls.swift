// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

#if canImport(Musl)
    internal import Musl
#else
    internal import Glibc
#endif

// MARK: - Descriptors

/// A descriptor that is closed with its last owner: who still reads or writes keeps it open.
final class HeldDescriptor: Sendable {
    let number: CInt

    init(taking number: CInt) {
        self.number = number
    }

    deinit {
        close(number)
    }
}

/// The error of a call that has just failed.
func refusal(_ call: String, _ arguments: String = "") -> ContainerError {
    refusal(SystemCallError(call, arguments, errno: Errno(rawValue: errno)))
}

private func refusal(_ failure: SystemCallError) -> ContainerError {
    ContainerError(.systemCall, "unable to connect the streams", failure: failure)
}

/// A pipe that no program started meanwhile gets.
func makeStreamPipe() throws(ContainerError) -> (reader: HeldDescriptor, writer: HeldDescriptor) {
    do throws(SystemCallError) {
        let (reader, writer) = try makePipe()
        return (HeldDescriptor(taking: reader), HeldDescriptor(taking: writer))
    } catch {
        throw refusal(error)
    }
}

/// Makes reads and writes of this end return at once; the other end has flags of its own.
func makeNonBlocking(_ descriptor: HeldDescriptor) throws(ContainerError) {
    do throws(SystemCallError) {
        try makeNonBlocking(descriptor.number)
    } catch {
        throw refusal(error)
    }
}

/// The null device.
func openNullDevice() throws(ContainerError) -> HeldDescriptor {
    let number = open("/dev/null", O_RDWR | O_CLOEXEC)
    guard number >= 0 else { throw refusal("open", "\"/dev/null\"") }
    return HeldDescriptor(taking: number)
}

/// What is there to read, up to `limit` bytes: none at the end, nil if nothing is there yet.
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

/// What became of a write.
enum WriteOutcome {
    case written(Int)
    case full
    /// Nobody reads any more.
    case unread
}

/// Writes what there is room for, without a SIGPIPE to the host.
///
/// The signal would go to this thread: it is blocked, and taken off again if it came.
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

/// Starts a thread that has all signals blocked but those of faults: they are for the host's own threads.
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

/// A count that threads wait for.
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
