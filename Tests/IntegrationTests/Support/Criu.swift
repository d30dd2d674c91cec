// SPDX-License-Identifier: Apache-2.0

import Glibc
import RuntimeSpec
import Testing

/// The installed CRIU: some versions cannot dump on some kernels.
enum Criu {
    /// Whether a sleeping process with a network of its own can be dumped; tested once.
    static let works: Bool = {
        guard Host.isRoot else { return false }
        var template = Array("/tmp/swrunc-criu-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return false }
        let directory = String(decoding: template.dropLast().map(UInt8.init), as: UTF8.self)
        defer {
            _ = try? RunningCommand([Host.busybox, "rm", "-r", directory], token: "none").wait()
        }
        // CRIU must not look before unshare has become sleep, however busy the machine is.
        let dump =
            "unshare -n sleep 300 </dev/null >/dev/null 2>&1 & "
            + "while [ \"$(cat /proc/$!/comm)\" = unshare ] || [ \"$(cat /proc/$!/comm)\" = sh ]; "
            + "do sleep 0.1; done; "
            + "criu dump -t $! -D \(directory) -j >/dev/null 2>&1; status=$?; kill $!; exit $status"
        // `swift test` leaves its sockets open in the tests, and CRIU does not dump a process that
        // has them.
        var options = CommandOptions()
        options.closed = entries(of: "/proc/self/fd").compactMap { CInt($0) }.filter { $0 > 2 }
        let done = try? RunningCommand(
            [Host.busybox, "setsid", "/bin/sh", "-c", dump], options, token: "none"
        ).wait()
        return done?.status == 0
    }()

    static let needed: ConditionTrait = .enabled(
        if: works,
        "needs iptables, and a CRIU that can dump on this kernel (SWRUNC_CRIU names its directory)")
}

extension TestBundle {
    var image: String { "\(directory)/image" }
    var work: String { "\(directory)/work" }
    private var counterFile: String { "\(rootfs)/tmp/count" }

    /// Runs a container that counts in a file.
    func startCounting(_ before: String = "", options: CommandOptions = CommandOptions()) throws {
        script(
            "\(before)\ni=0; while :; do i=$((i+1)); echo $i >/tmp/next; "
                + "mv /tmp/next /tmp/count; sleep 0.02; done")
        try create(options: options)
        let done = try swrunc("start", id)
        try #require(done.status == 0, "\(done)")
        #expect(counts())
    }

    /// Makes a checkpoint of a counting container in a user namespace, with streams that its users
    /// may open again; `body` restores it with them.
    func checkpointInUserNamespace(_ body: (CommandOptions) throws -> Void) throws {
        try check(chmod(rootfs + "/tmp", 0o777), "chmod")
        setNamespace(.user)
        linux.uidMappings = [IDMapping(containerID: 0, hostID: 100_000, size: 65536)]
        linux.gidMappings = [IDMapping(containerID: 0, hostID: 100_000, size: 65536)]
        var options = CommandOptions()
        let null = try check(open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null")
        defer { close(null) }
        options.descriptors = [0: null, 1: null, 2: null]
        try startCounting(options: options)
        #expect(try checkpoint().status == 0, "\(log("dump"))")
        try body(options)
    }

    /// The number that it has counted to.
    var count: Int { (try? readText(counterFile)).flatMap { Int($0.trimmed) } ?? 0 }

    /// Whether it is still counting.
    func counts() -> Bool {
        let before = count
        return IntegrationTests.waits { count > before }
    }

    func checkpoint(_ words: String..., id: String? = nil) throws -> FinishedCommand {
        try start(
            ["checkpoint", "--image-path", image, "--work-path", work] + words + [id ?? self.id]
        ).wait()
    }

    /// Restores the container in the background.
    func restore(
        _ words: String..., id: String? = nil, options: CommandOptions = CommandOptions()
    ) throws -> FinishedCommand {
        try start(
            ["restore", "-d", "--bundle", directory, "--image-path", image, "--work-path", work]
                + words + [id ?? self.id], options
        ).wait()
    }

    /// The errors in CRIU's log, and its end: the cause is often told long before the end.
    func log(_ name: String) -> String {
        let lines = ((try? readText("\(work)/\(name).log")) ?? "").lines
        let errors = lines.filter { $0.contains("Error (") || $0.contains("Warn  (") }
        return (errors.suffix(12) + ["..."] + lines.suffix(12)).joined(separator: "\n")
    }
}
