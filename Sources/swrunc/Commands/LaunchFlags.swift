// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// The flags that create, run and exec share, and the options made from them.
enum LaunchFlags {
    static let bundle = Flag(
        "bundle", "b", .text, "directory with config.json and the root file system",
        standard: "the working directory")
    static let config = Flag(
        "config", "f", .text, "file to read in place of the bundle's config.json")
    static let consoleSocket = Flag(
        "console-socket", nil, .text, "unix socket that is sent the master of the terminal")
    static let pidFile = Flag(
        "pid-file", nil, .text, "file to write the process id to, in digits alone")
    static let preserveDescriptors = Flag(
        "preserve-fds", nil, .number, "descriptors after 2 that the process keeps", standard: "0")
    static let detach = Flag("detach", "d", .toggle, "return when the process runs")

    static let pidfdSocket = Flag(
        "pidfd-socket", nil, .text, "unix socket that is sent a pidfd of the process")
    static let noPivot = Flag(
        "no-pivot", nil, .toggle, "move the root over the host's instead of pivot_root(2)")
    static let timeout = Flag(
        "timeout", nil, .text, "time for the set-up, such as 500ms or 1m30s, then it is undone")
    static let noNewKeyring = Flag(
        "no-new-keyring", nil, .toggle, "keep the caller's session keyring")

    /// The flags of create and run.
    static var ofContainers: [Flag] {
        [
            bundle, config, consoleSocket, pidFile, preserveDescriptors, pidfdSocket, noPivot,
            noNewKeyring, timeout,
        ] + TraceFlags.all
    }
}

extension Invocation {
    /// The bundle of `--bundle`, with the config of `--config` if given.
    func bundle(timeout: Duration? = nil) throws(ContainerError) -> Bundle {
        let directory = try absolutePath(arguments.text(LaunchFlags.bundle) ?? ".")
        guard let config = try path(LaunchFlags.config) else {
            return try Bundle(at: directory, timeout: timeout)
        }
        return try Bundle(at: directory, configName: config.string, timeout: timeout)
    }

    /// The options for a process with or without a terminal, detached or waited for.
    func launchOptions(terminal: Bool, detached: Bool) throws(ContainerError) -> LaunchOptions {
        var options = LaunchOptions()
        options.logger = logger
        options.cgroupDriver = cgroupDriver
        options.rootless = rootless
        options.limits = callerLimits
        options.pidFile = try path(LaunchFlags.pidFile)
        options.pidfdSocket = try path(LaunchFlags.pidfdSocket)
        options.terminal = try outlet(
            terminal: terminal, detached: detached, socket: path(LaunchFlags.consoleSocket))
        let count = arguments.number(LaunchFlags.preserveDescriptors) ?? 0
        guard (0...1 << 30).contains(count) else {
            throw ContainerError(
                .invalidArgument,
                "--preserve-fds \(count): expected a count of descriptors that are open")
        }
        options.preservedDescriptorCount = count
        options.movesRoot = arguments.has(LaunchFlags.noPivot)
        options.keepsSessionKeyring = arguments.has(LaunchFlags.noNewKeyring)
        options.startsAgainSealed = true
        options.timeout = try timeout()
        return options
    }

    /// The time of `--timeout`.
    func timeout() throws(ContainerError) -> Duration? {
        guard let text = arguments.text(LaunchFlags.timeout) else { return nil }
        guard let time = Duration(goText: text), time > .zero else {
            throw ContainerError(
                .invalidArgument,
                "--timeout \(text.debugDescription): expected a time longer than 0",
                hint: "a number and a unit, such as 500ms, 5s or 1m30s")
        }
        return time
    }

    /// Where the master of the terminal goes; both error messages are runc's.
    private func outlet(
        terminal: Bool, detached: Bool, socket: FilePath?
    ) throws(ContainerError) -> TerminalOutlet? {
        switch (terminal, detached, socket) {
        case (true, true, let socket?):
            return .consoleSocket(socket)
        case (true, true, nil):
            throw ContainerError(
                .invalidArgument,
                "cannot allocate tty if \(program) will detach without setting console socket",
                hint: "give --console-socket, or set process.terminal to false")
        case (_, _, _?):
            throw ContainerError(
                .invalidArgument,
                "cannot use console socket if \(program) will not detach or allocate tty",
                hint: "leave --console-socket out, or set process.terminal to true and detach")
        case (true, false, nil):
            return .master
        case (false, _, nil):
            return nil
        }
    }

    /// The options for a new container, which also gets the sockets passed by a service manager.
    func containerOptions(terminal: Bool, detached: Bool) throws(ContainerError) -> LaunchOptions {
        var options = try launchOptions(terminal: terminal, detached: detached)
        options.notifySocket = notifySocket
        guard let pid = variable("LISTEN_PID"), pid == String(getpid()),
            let count = variable("LISTEN_FDS").flatMap(Int.init), (1...1024).contains(count)
        else { return options }
        options.activation = SocketActivation(count: count, names: bytes("LISTEN_FDNAMES"))
        options.preservedDescriptorCount += count
        return options
    }

    /// The socket on which the caller's service manager expects the notification that the container
    /// is ready.
    var notifySocket: String? {
        variable("NOTIFY_SOCKET").flatMap { $0.isEmpty ? nil : $0 }
    }

    private func variable(_ name: String) -> String? { bytes(name)?.description }

    private func bytes(_ name: String) -> ByteText? {
        guard var place = getenv(name) else { return nil }
        var bytes: [UInt8] = []
        while place.pointee != 0 {
            bytes.append(UInt8(bitPattern: place.pointee))
            place += 1
        }
        return ByteText(bytes: bytes)
    }

    private func path(_ flag: Flag) throws(ContainerError) -> FilePath? {
        guard let text = arguments.text(flag), !text.isEmpty else { return nil }
        return try absolutePath(text)
    }
}
