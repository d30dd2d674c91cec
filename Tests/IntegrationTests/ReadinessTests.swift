// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// A listener like a service manager, which records each message with its descriptor.
private final class ReadinessListener {
    let path: String
    private let socket: CInt

    init(_ path: String) throws {
        self.path = path
        socket = try check(Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0), "socket")
        try check(withAddress(path) { bind(socket, $0, $1) }, "bind \(path)")
    }

    deinit { close(socket) }

    /// The next message, within ten seconds; the descriptor of a barrier is closed.
    func message(withinMilliseconds limit: Int32 = 10_000) -> String? {
        var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, limit) == 1 else { return nil }
        var text = [UInt8](repeating: 0, count: 4096)
        var control = [UInt8](repeating: 0, count: 64)
        var count = 0
        text.withUnsafeMutableBytes { text in
            control.withUnsafeMutableBytes { control in
                var vector = iovec(iov_base: text.baseAddress, iov_len: text.count)
                withUnsafeMutablePointer(to: &vector) { vector in
                    var header = msghdr()
                    header.msg_iov = vector
                    header.msg_iovlen = 1
                    header.msg_control = control.baseAddress
                    header.msg_controllen = control.count
                    count = recvmsg(socket, &header, 0)
                    guard header.msg_controllen >= 20 else { return }
                    let descriptor = control.loadUnaligned(fromByteOffset: 16, as: Int32.self)
                    close(descriptor)
                }
            }
        }
        return String(decoding: text.prefix(max(count, 0)), as: UTF8.self)
    }
}

private func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32)
    -> Int32
{
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}

/// What sd_notify(3) does in a container, sent to the socket that the container sees.
private func say(_ text: String, to path: String) -> Int32 {
    let socket = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(socket) }
    guard withAddress(path, { connect(socket, $0, $1) }) == 0 else { return errno }
    return send(socket, text, text.utf8.count, 0x4000) < 0 ? errno : 0
}

@Suite("Readiness of a container: NOTIFY_SOCKET", Host.root)
struct ReadinessTests {
    private func options(_ listener: ReadinessListener) -> CommandOptions {
        var options = CommandOptions()
        options.environment["NOTIFY_SOCKET"] = listener.path
        return options
    }

    /// The path of the socket as seen by the container's process.
    private func inside(_ pid: Int) -> String { "/proc/\(pid)/root/run/notify/notify.sock" }

    private func isRunning(_ bundle: TestBundle) -> Bool {
        (try? bundle.swrunc("state", bundle.id))?.output.contains("\"running\"") == true
    }

    private func prepare(_ bundle: TestBundle) throws -> ReadinessListener {
        bundle.script("echo $NOTIFY_SOCKET >/tmp/env; exec sleep 100")
        return try ReadinessListener("\(bundle.directory)/listener.sock")
    }

    @Test("start returns when the container is ready, and the listener gets the main pid")
    func start() throws {
        try TestBundle.use { bundle throws in
            let listener = try prepare(bundle)
            try bundle.create(options: options(listener))
            let pid = try bundle.state().pid
            let starting = try bundle.start(["start", bundle.id], options(listener))
            #expect(waits { isRunning(bundle) })
            #expect(waits { say("STATUS=half way", to: inside(pid)) == 0 })
            #expect(listener.message(withinMilliseconds: 300) == nil, "only readiness is told")
            #expect(kill(starting.pid, 0) == 0, "start has not returned")
            #expect(say("STATUS=done\nREADY=1\nMAINPID=1", to: inside(pid)) == 0)
            #expect(listener.message() == "READY=1\n")
            #expect(listener.message() == "MAINPID=\(pid)\n")
            #expect(listener.message() == "BARRIER=1")
            let done = try starting.wait()
            #expect(done.status == 0 && done.error == "", "\(done)")
            #expect(try readText("\(bundle.rootfs)/tmp/env").trimmed == "/run/notify/notify.sock")
            #expect(say("READY=1", to: inside(pid)) != 0, "nobody listens any more")
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(entries(of: bundle.store).isEmpty)
        }
    }

    @Test("start also returns if the container ends without reporting readiness")
    func silent() throws {
        try TestBundle.use { bundle throws in
            let listener = try prepare(bundle)
            bundle.script("sleep 0.2")
            try bundle.create(options: options(listener))
            let done = try bundle.swrunc("start", bundle.id, options: options(listener))
            #expect(done.status == 0 && done.error == "", "\(done)")
            #expect(listener.message(withinMilliseconds: 0) == nil)
        }
    }

    @Test("a container created without NOTIFY_SOCKET starts as any other")
    func createdWithout() throws {
        try TestBundle.use { bundle throws in
            let listener = try prepare(bundle)
            try bundle.create()
            #expect(try bundle.swrunc("start", bundle.id, options: options(listener)).status == 0)
            #expect(!exists(inside(try bundle.state().pid)))
        }
    }

    @Test("run in the foreground forwards readiness at once, with itself as the process to watch")
    func run() throws {
        try TestBundle.use { bundle throws in
            let listener = try prepare(bundle)
            try bundle.writeConfig()
            let running = try bundle.start(
                ["run", "--bundle", bundle.directory, bundle.id], options(listener))
            #expect(waits { isRunning(bundle) })
            let pid = try bundle.state().pid
            #expect(waits { say("READY=1", to: inside(pid)) == 0 })
            #expect(listener.message() == "READY=1\n")
            #expect(listener.message() == "MAINPID=\(running.pid)\n")
            #expect(listener.message(withinMilliseconds: 300) == nil)
            #expect(try bundle.swrunc("kill", bundle.id, "KILL").status == 0)
            #expect(try running.wait().status == 137)
            #expect(entries(of: bundle.store).isEmpty)
        }
    }

    @Test("run --detach waits for readiness, also in a user namespace and over a read-only root")
    func detached() throws {
        try TestBundle.use { bundle throws in
            let listener = try prepare(bundle)
            bundle.script("exec sleep 100")
            bundle.spec.root?.readonly = true
            try bundle.makeUserNamespace()
            try bundle.writeConfig()
            let running = try bundle.start(
                ["run", "--detach", "--bundle", bundle.directory, bundle.id], options(listener))
            #expect(waits { isRunning(bundle) })
            let pid = try bundle.state().pid
            #expect(waits { say("READY=1", to: inside(pid)) == 0 })
            #expect(listener.message() == "READY=1\n")
            #expect(listener.message() == "MAINPID=\(pid)\n")
            #expect(listener.message() == "BARRIER=1")
            #expect(try running.wait().status == 0)
        }
    }
}
