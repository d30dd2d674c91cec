// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Testing

@Suite("More mounts than descriptors", Host.root)
struct ManyMountsTests {
    /// Closes the descriptors that the test's own process was given.
    private static let closing =
        "for f in /proc/self/fd/*; do n=${f##*/}; [ $n -le 2 ] || eval \"exec $n>&-\"; done"

    /// Runs the container with limits for the runtime: options of `ulimit`.
    private func run(_ bundle: TestBundle, limits: String) throws -> FinishedCommand {
        try bundle.writeConfig()
        let words = [
            Host.busybox, "sh", "-c", "\(Self.closing); ulimit \(limits); exec \"$@\"", "sh",
            Host.runtime, "--root", bundle.store, "run", "--bundle", bundle.directory, bundle.id,
        ]
        return try RunningCommand(words, token: bundle.token).wait()
    }

    private func expect(
        _ count: Int, of place: String, _ bundle: TestBundle, limits: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        bundle.script("grep -c ' \(place)' /proc/self/mountinfo; ulimit -n; ulimit -Hn")
        let done = try run(bundle, limits: limits)
        let caller = limits.split(separator: " ").last.map(String.init) ?? ""
        #expect(done.status == 0, "\(done)", sourceLocation: sourceLocation)
        #expect(
            done.output == "\(count)\n\(caller)\n\(caller)\n", "\(done)",
            sourceLocation: sourceLocation)
    }

    @Test(
        "1,200 bind mounts work with 1,024 descriptors; the container keeps the caller's limits",
        arguments: [false, true])
    func binds(_ inUserNamespace: Bool) throws {
        try TestBundle.use { bundle throws in
            bundle.process.rlimits = nil
            let file = "\(bundle.directory)/file"
            try writeText("x", to: file)
            for index in 0..<1_200 {
                bundle.addMount("bind", file, at: "/mnt/a/\(index)", "bind", "ro")
            }
            if inUserNamespace { try bundle.makeUserNamespace() }
            try expect(1_200, of: "/mnt/a/", bundle, limits: "-n 1024")
        }
    }

    @Test("1,000 file systems can be mounted with 1,024 descriptors")
    func filesystems() throws {
        try TestBundle.use { bundle throws in
            bundle.process.rlimits = nil
            for index in 0..<1_000 { bundle.addMount("tmpfs", "tmpfs", at: "/mnt/\(index)") }
            try expect(1_000, of: "/mnt/", bundle, limits: "-n 1024")
        }
    }

    @Test("1,000 masked and 1,000 read-only paths work with 1,024 descriptors")
    func paths() throws {
        try TestBundle.use { bundle throws in
            bundle.process.rlimits = nil
            for name in ["hidden", "kept"] {
                try makeDirectory("\(bundle.rootfs)/\(name)")
                for index in 0..<500 {
                    try makeDirectory("\(bundle.rootfs)/\(name)/d\(index)")
                    try writeText("x", to: "\(bundle.rootfs)/\(name)/f\(index)")
                }
            }
            func all(_ name: String) -> [String] {
                (0..<500).flatMap { ["/\(name)/d\($0)", "/\(name)/f\($0)"] }
            }
            bundle.linux.maskedPaths = all("hidden")
            bundle.linux.readonlyPaths = all("kept")
            try expect(1_000, of: "/hidden/", bundle, limits: "-n 1024")
            try expect(1_000, of: "/kept/", bundle, limits: "-n 1024")
        }
    }

    @Test("a container with thirty mounts starts with 24 descriptors")
    func fewDescriptors() throws {
        try TestBundle.use { bundle throws in
            bundle.process.rlimits = nil
            for index in 0..<30 { bundle.addMount("bind", "/usr", at: "/mnt/\(index)", "bind") }
            try expect(30, of: "/mnt/", bundle, limits: "-n 24")
        }
    }

    @Test("a missing source among many mounts is reported with its field, and nothing is left")
    func missingSource() throws {
        try TestBundle.use { bundle throws in
            let count = bundle.spec.mounts?.count ?? 0
            for index in 0..<20 { bundle.addMount("bind", "/usr", at: "/mnt/\(index)", "bind") }
            bundle.addMount("bind", "/no/such/source", at: "/mnt/missing", "bind")
            bundle.expectFailure(
                try bundle.run(),
                naming: ["mounts[\(count + 20)]", "/mnt/missing", "/no/such/source"])
            #expect(bundle.leftovers.found() == [])
        }
    }
}
