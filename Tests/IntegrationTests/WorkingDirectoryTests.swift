// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Working directories", Host.root)
struct WorkingDirectoryTests {
    /// A directory that only its owner may enter, and the runtime, which has CAP_DAC_OVERRIDE.
    private func privateDirectory(_ bundle: TestBundle, owner: UInt32) throws {
        let path = "\(bundle.rootfs)/private"
        try makeDirectory(path, mode: 0o700)
        try check(chown(path, owner, owner), "chown")
        bundle.process.cwd = "/private"
    }

    @Test("a working directory can be entered that only the runtime may enter")
    func asRuntime() throws {
        try TestBundle.use { bundle throws in
            try privateDirectory(bundle, owner: 0)
            bundle.process.user = User(uid: 1000, gid: 1000)
            #expect(try bundle.output(of: "pwd") == "/private")
        }
    }

    @Test("a working directory that neither runtime nor user may enter is refused with its name")
    func refused() throws {
        try TestBundle.use { bundle throws in
            try privateDirectory(bundle, owner: 1000)
            bundle.process.cwd = "/etc/passwd"
            bundle.process.user = User(uid: 1000, gid: 1000)
            bundle.script("true")
            bundle.expectFailure(
                try bundle.run(), naming: ["process.cwd", "/etc/passwd", "not a directory"])
        }
    }

    @Test("exec enters its working directory as the runtime or as its user")
    func execution() throws {
        try TestBundle.use { bundle throws in
            try privateDirectory(bundle, owner: 1000)
            try bundle.startSleeping()
            for user in ["0", "1000", "1001"] {
                let done = try bundle.swrunc(
                    "exec", "--user", user, "--cwd", "/private", bundle.id, "pwd")
                #expect(done.text == "/private", "\(done)")
            }
        }
    }
}
