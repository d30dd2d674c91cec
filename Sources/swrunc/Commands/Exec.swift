// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

extension Command {
    static var exec: Command {
        Command(
            name: "exec", summary: "run another process in a running container",
            operands: "<container-id> <program> [arguments]", operandCount: 1...Int.max,
            details: """
                The process is like the container's own but for what the flags say. With --process
                it is the one of that file, and a program that is named here has no effect.

                The exit status is that of the process; 255 tells that it could not be started.
                """,
            flags: ExecFlags.all, stopsAtOperand: true, failureText: .exec,
            perform: { invocation throws(ContainerError) in
                let detached = invocation.arguments.has(LaunchFlags.detach)
                let signals = detached ? nil : try ForegroundSignals()
                let started = try invocation.traced("exec") { trace throws(ContainerError) in
                    let container = try invocation.container()
                    let process = try ExecFlags.process(invocation.arguments, in: container)
                    var options = try invocation.launchOptions(
                        terminal: process.terminal, detached: detached)
                    options.subcgroups = try ExecFlags.subcgroups(
                        invocation.arguments.texts(ExecFlags.cgroup))
                    options.ignoresPause = invocation.arguments.has(ExecFlags.ignorePaused)
                    options.trace = trace
                    return try container.exec(process, options: options)
                }
                guard let signals else { return 0 }
                return try started.waitInForeground(signals).shellCode
            })
    }
}

/// The flags of exec, and the process made from them.
enum ExecFlags {
    static let process = Flag("process", "p", .bytes, "file that describes the process, as JSON")
    static let tty = Flag("tty", "t", .toggle, "give the process a terminal")
    static let environment = Flag("env", "e", .bytes, "NAME=value to add to the environment")
    static let workingDirectory = Flag("cwd", nil, .text, "working directory in the container")
    static let user = Flag("user", "u", .text, "user and group to run as, UID[:GID] in numbers")
    static let groups = Flag("additional-gids", "g", .text, "number of another group to belong to")
    static let capability = Flag("cap", "c", .text, "capability to add, such as CAP_KILL")
    static let noNewPrivileges = Flag(
        "no-new-privs", nil, .toggle, "let the process gain no privileges by execve")

    static let cgroup = Flag(
        "cgroup", nil, .text,
        "existing cgroup below the container's, [CONTROLLER[,CONTROLLER]:]PATH")
    static let apparmor = Flag(
        "apparmor", nil, .text, "AppArmor profile to run under")
    static let processLabel = Flag(
        "process-label", nil, .text, "SELinux label to run with")
    static let ignorePaused = Flag(
        "ignore-paused", nil, .toggle,
        "take a paused container; the process runs when it is resumed")

    /// The flags that change the container's own process.
    private static var overrides: [Flag] {
        [
            tty, environment, workingDirectory, user, groups, capability, noNewPrivileges, apparmor,
            processLabel,
        ]
    }

    static var all: [Flag] {
        [process, LaunchFlags.detach] + overrides + [
            LaunchFlags.consoleSocket, LaunchFlags.pidFile, LaunchFlags.preserveDescriptors,
            LaunchFlags.pidfdSocket, cgroup, ignorePaused, LaunchFlags.timeout,
        ] + TraceFlags.all
    }

    /// The process of `--process`, or the container's own process changed by the flags.
    static func process(
        _ arguments: Arguments, in container: Container
    ) throws(ContainerError) -> Process {
        if let path = arguments.path(process) {
            var process = try read(path)
            try refuseOverrides(of: process, in: arguments)
            process.terminal = process.terminal || arguments.has(tty)
            return process
        }
        let program = Array(arguments.words.dropFirst())
        guard !program.isEmpty else {
            throw ContainerError(
                .invalidArgument, "exec args cannot be empty",
                hint: "name a program after the container, or give --process")
        }
        return try changed(container.template(), by: arguments, running: program)
    }

    private static func read(_ path: FilePath) throws(ContainerError) -> Process {
        let bytes = try readFile(path)
        do {
            return try Process(json: bytes)
        } catch {
            throw ContainerError(.invalidSpec, "\(path.string): \(error)")
        }
    }

    /// The file of `--process` defines the whole process, so flags that contradict it are refused.
    ///
    /// Only `--tty` is allowed beside it. The program and its arguments are ignored as in other
    /// runtimes, because some clients always pass them.
    static func refuseOverrides(
        of process: Process, in arguments: Arguments
    ) throws(ContainerError) {
        for flag in overrides where arguments.text(flag) != nil {
            if flag.name == tty.name, arguments.has(tty) || !process.terminal { continue }
            throw ContainerError(
                .invalidArgument, "--process and --\(flag.name) exclude each other",
                hint: "say it in the file of --process")
        }
    }

    /// The container's own process, changed by the flags.
    static func changed(
        _ template: Process, by arguments: Arguments, running program: [ByteText]
    ) throws(ContainerError) -> Process {
        var process = template
        process.argBytes = program
        // exec gives a terminal only if asked, even if the container's own process has one.
        process.terminal = arguments.has(tty)
        if let directory = arguments.text(workingDirectory), !directory.isEmpty {
            process.cwd = directory
        }
        process.envBytes = (process.envBytes ?? []) + arguments.bytes(environment)
        if arguments.text(noNewPrivileges) != nil {
            process.noNewPrivileges = arguments.has(noNewPrivileges)
        }
        if let profile = arguments.text(apparmor), !profile.isEmpty {
            process.apparmorProfile = profile
        }
        if let label = arguments.text(processLabel), !label.isEmpty {
            process.selinuxLabel = label
        }
        if let text = arguments.text(user) {
            let (uid, gid) = try readUser(text)
            process.user.uid = uid
            process.user.gid = gid ?? process.user.gid
        }
        for text in arguments.texts(groups) {
            guard let gid = readID(text[...]) else {
                throw invalid("--additional-gids", text, expected: "a group number")
            }
            process.user.additionalGids = (process.user.additionalGids ?? []) + [gid]
        }
        add(arguments.texts(capability), to: &process)
        return process
    }

    /// Adds capabilities to all sets but the inheritable one, which programs would pass on
    /// (CVE-2022-29162).
    private static func add(_ names: [String], to process: inout Process) {
        guard !names.isEmpty else { return }
        var sets = process.capabilities ?? Capabilities()
        sets.bounding = (sets.bounding ?? []) + names
        sets.effective = (sets.effective ?? []) + names
        sets.permitted = (sets.permitted ?? []) + names
        // The kernel accepts an ambient capability only if it is inheritable too.
        if let inheritable = sets.inheritable {
            sets.ambient = (sets.ambient ?? []) + names.filter(inheritable.contains)
        }
        process.capabilities = sets
    }

    /// Parses `UID` or `UID:GID`; both must be numbers.
    ///
    /// crun misread some values as 0, which is root (CVE-2026-30892).
    static func readUser(_ text: String) throws(ContainerError) -> (uid: UInt32, gid: UInt32?) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let uid = readID(parts[0]) else {
            throw invalid("--user", text, expected: "UID or UID:GID in decimal numbers")
        }
        guard parts.count == 2 else { return (uid, nil) }
        guard let gid = readID(parts[1]) else {
            throw invalid("--user", text, expected: "UID or UID:GID in decimal numbers")
        }
        return (uid, gid)
    }

    /// Parses a UID or GID in plain digits; not the highest number, which setresuid(2) takes for
    /// "no change".
    private static func readID(_ text: Substring) -> UInt32? {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let id = UInt32(text), id != .max
        else { return nil }
        return id
    }

    /// Parses the values of --cgroup; the error messages are runc's.
    static func subcgroups(_ texts: [String]) throws(ContainerError) -> [String: String] {
        var paths: [String: String] = [:]
        for text in texts {
            guard let colon = text.firstIndex(of: ":") else {
                guard texts.count == 1 else {
                    throw ContainerError(
                        .invalidArgument,
                        "invalid --cgroup argument: \(text) (missing <controller>: prefix)")
                }
                return ["": text]
            }
            let controllers = text[..<colon].split(
                separator: ",", omittingEmptySubsequences: false)
            for controller in controllers {
                guard !controller.isEmpty else {
                    throw ContainerError(
                        .invalidArgument,
                        "invalid --cgroup argument: \(text) (empty <controller> prefix)")
                }
                let path = String(text[text.index(after: colon)...])
                guard paths.updateValue(path, forKey: String(controller)) == nil else {
                    throw ContainerError(
                        .invalidArgument,
                        "invalid --cgroup argument(s): controller \(controller) specified "
                            + "multiple times")
                }
            }
        }
        return paths
    }

    private static func invalid(
        _ flag: String, _ text: String, expected: String
    ) -> ContainerError {
        ContainerError(
            .invalidArgument, "\(flag) \(text.debugDescription): expected \(expected)")
    }
}
