// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Synchronization
import SystemPackage
import Testing

/// A bundle with a busybox root file system, a state directory and an ID, for a single test.
final class TestBundle {
    let directory: String
    let token: String
    /// The config; written to config.json before each create and run.
    var spec: Spec
    /// The ID of the test's first container; other IDs are made from it.
    let id: String

    var rootfs: String { "\(directory)/rootfs" }
    var store: String { "\(directory)/root" }
    var leftovers: Leftovers { Leftovers(token: token, directory: directory) }

    private static let applets = [
        "cat", "chmod", "cp", "cut", "dd", "df", "echo", "env", "false", "grep", "head",
        "hostname", "id", "ifconfig", "kill", "ln", "ls", "mkdir", "mknod", "mount",
        "mv", "nproc", "ping", "ps", "pwd", "readlink", "rm", "rmdir", "sed", "setsid", "sh",
        "sleep", "sort", "stat", "stty", "sync", "tail", "test", "touch", "tr", "true", "tty",
        "umount", "uname", "unlink", "wc",
    ]

    private init() throws {
        var template = Array("/tmp/swrunc-it-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CallError("mkdtemp") }
        directory = String(decoding: template.dropLast().map(UInt8.init), as: UTF8.self)
        // A temporary name is case-sensitive; that is fine for an ID.
        token = String(directory.dropFirst("/tmp/".count))
        id = token
        spec = Self.plainSpec(token: token)
        try check(chmod(directory, 0o755), "chmod \(directory)")
        try makeRootfs()
    }

    /// The template without a terminal, with a writable root file system.
    private static func plainSpec(token: String) -> Spec {
        var spec = Spec.template
        spec.process?.terminal = false
        spec.process?.env?.append("\(Leftovers.variable)=\(token)")
        spec.root?.readonly = false
        return spec
    }

    private func makeRootfs() throws {
        for name in ["", "/bin", "/dev", "/etc", "/proc", "/sys", "/tmp", "/home"] {
            try makeDirectory(rootfs + name)
        }
        try check(chmod("\(rootfs)/tmp", 0o1777), "chmod tmp")
        try copyFile(Host.busybox, to: "\(rootfs)/bin/busybox")
        for applet in Self.applets {
            // More links cost less than as many new files.
            try check(link("\(rootfs)/bin/busybox", "\(rootfs)/bin/\(applet)"), "link \(applet)")
        }
        try writeText(
            "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n",
            to: "\(rootfs)/etc/passwd")
        try writeText("root:x:0:\nann:x:1000:\n", to: "\(rootfs)/etc/group")
    }

    /// Calls `body` with a bundle, and checks that nothing of it stays, whatever `body` does.
    static func use<Result>(_ body: (TestBundle) throws -> Result) throws -> Result {
        let bundle = try TestBundle()
        defer { bundle.cleanUp() }
        return try body(bundle)
    }

    /// A bundle whose user must call `cleanUp`.
    static func made() throws -> TestBundle { try TestBundle() }

    /// Deletes what the test did not delete itself, and checks that nothing else stays.
    func cleanUp() {
        deleteContainers()
        let found = leftovers.found()
        #expect(found.isEmpty, "left behind: \(found.joined(separator: ", "))")
        if found.isEmpty { removeTree(directory) } else { leftovers.remove() }
    }

    /// Deletes by force what the test did not delete itself; so a test may end anywhere.
    private func deleteContainers() {
        for id in entries(of: store) {
            _ = try? swrunc("delete", "--force", id)
        }
    }

    // MARK: Config

    /// The process of the config.
    var process: ContainerKit.Process {
        get { spec.process ?? Process(cwd: "/") }
        set { spec.process = newValue }
    }

    var linux: Linux {
        get { spec.linux ?? Linux() }
        set { spec.linux = newValue }
    }

    /// Makes the container run a script.
    func script(_ text: String) {
        process.args = ["/bin/sh", "-c", text]
    }

    func addMount(
        _ type: String?, _ source: String, at destination: String, _ options: String...
    ) {
        spec.mounts?.append(
            Mount(destination: destination, type: type, source: source, options: options))
    }

    /// Removes all namespaces of the kind, and adds a new or joined one.
    func setNamespace(_ kind: Namespace.Kind, path: String? = nil) {
        removeNamespace(kind)
        linux.namespaces?.append(Namespace(kind: kind, path: path))
    }

    func removeNamespace(_ kind: Namespace.Kind) {
        linux.namespaces?.removeAll { $0.kind == kind }
    }

    func writeConfig() throws {
        let text = String(decoding: spec.encoded.encoded(pretty: true), as: UTF8.self)
        try writeText(text, to: "\(directory)/config.json")
    }

    // MARK: Commands

    /// Runs the runtime with this test's `--root`.
    func swrunc(
        _ words: String..., options: CommandOptions = CommandOptions()
    ) throws -> FinishedCommand {
        try start(words, options).wait()
    }

    /// Starts the same without waiting for its end.
    func start(
        _ words: [String], _ options: CommandOptions = CommandOptions()
    ) throws -> RunningCommand {
        try RunningCommand(
            owner + [Host.runtime, "--root", store] + words, options, token: token)
    }

    /// A prefix that runs a command as the store's owner, since only the owner's state is accepted.
    private var owner: [String] {
        var status = Glibc.stat()
        guard lstat(store, &status) == 0, status.st_uid != geteuid() else { return [] }
        return Self.setpriv(status.st_uid)
    }

    /// Writes the config and runs the container to its end.
    func run(
        _ words: String..., options: CommandOptions = CommandOptions()
    ) throws -> FinishedCommand {
        try writeConfig()
        return try start(["run", "--bundle", directory] + words + [id], options).wait()
    }

    /// Runs a script in the container, expects success, and returns its output.
    func output(
        of text: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        script(text)
        let done = try run()
        #expect(done.status == 0, "\(done)", sourceLocation: sourceLocation)
        #expect(done.error == "", sourceLocation: sourceLocation)
        return done.text
    }

    /// Creates the container, which must succeed.
    func create(
        _ words: String..., id: String? = nil, options: CommandOptions = CommandOptions()
    ) throws {
        try writeConfig()
        let call = ["create", "--bundle", directory] + words + [id ?? self.id]
        let done = try start(call, options).wait()
        try #require(done.status == 0 && done.error == "", "\(done)")
    }

    /// Creates and starts a container that sleeps, for use with `exec`.
    func startSleeping(
        id: String? = nil, options: CommandOptions = CommandOptions()
    ) throws {
        process.args = ["/bin/sleep", "100"]
        try create(id: id, options: options)
        let done = try swrunc("start", id ?? self.id)
        try #require(done.status == 0, "\(done)")
    }

    /// Runs containers that end at once, one after the other; the status is 9 if one fails.
    func runInTurn(_ count: Int) throws -> RunningCommand {
        script("exit 0")
        try writeConfig()
        try makeDirectory(store, mode: 0o700)
        let loop = """
            i=0; while [ $i -lt \(count) ]; do i=$((i+1))
            "$0" --root "$1" run --bundle "$2" "$3-$i" || exit 9
            done
            """
        return try RunningCommand(
            ["/bin/sh", "-c", loop, Host.runtime, store, directory, id], token: token)
    }

    func state(_ id: String? = nil) throws -> State {
        let done = try swrunc("state", id ?? self.id)
        try #require(done.status == 0, "\(done)")
        return try State(json: Array(done.output.utf8))
    }

    /// The path of a cgroup file of the container; nil if the host lacks the controller.
    func cgroupFile(_ controller: String, _ name: String) throws -> String? {
        try Host.cgroup(of: state().pid, controller: controller).map { "\($0)/\(name)" }
    }

    /// Waits until the container has the status.
    func waits(for status: State.Status, _ id: String? = nil) throws -> Bool {
        try IntegrationTests.waits { try state(id).status == status }
    }

    /// Expects a failure with one line that contains all of these words.
    func expectFailure(
        _ done: FinishedCommand, status: Int32 = 1, naming words: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(done.status == status, "\(done)", sourceLocation: sourceLocation)
        #expect(done.output == "", sourceLocation: sourceLocation)
        #expect(done.error.lines.count == 1, "\(done)", sourceLocation: sourceLocation)
        for word in words {
            #expect(
                done.message.contains(word), "no \"\(word)\" in: \(done.message)",
                sourceLocation: sourceLocation)
        }
    }
}

extension FinishedCommand {
    /// The `msg` of the log line on standard error, unescaped.
    var message: String {
        guard let start = error.firstRange(of: "msg=\"")?.upperBound else { return error }
        var text = ""
        var isEscaped = false
        for character in error[start...] {
            if isEscaped {
                text.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                break
            } else {
                text.append(character)
            }
        }
        return text
    }
}

/// Copies a program in a separate process: while this process had the copy open for writing, a
/// parallel test could start a program that inherits the descriptor, and execve(2) would fail with
/// ETXTBSY.
func copyFile(_ source: String, to target: String) throws {
    // A program that is started meanwhile may inherit the descriptor, and then the copy could not
    // be executed.
    try writingPrograms.withLock { _ in
        let from = try check(open(source, O_RDONLY | O_CLOEXEC), "open \(source)")
        defer { close(from) }
        let to = try check(
            open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o755), "open \(target)")
        defer { close(to) }
        while try check(sendfile(to, from, nil, 1 << 30), "copy \(source)") > 0 {}
        try check(fchmod(to, 0o755), "chmod \(target)")
    }
}
