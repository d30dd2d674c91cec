// SPDX-License-Identifier: Apache-2.0

import Glibc
import RuntimeSpec
import Testing

/// Files that wait for their reader, or never end, in place of those that commands read.
@Suite("Files without an end", Host.root)
struct EndlessFileTests {
    /// The kernel's log: the first waits for more, the second is a device that does.
    private static let files = ["/proc/kmsg", "/dev/kmsg", "/dev/zero"]

    private func refuse(_ bundle: TestBundle, _ words: [String], _ file: String) throws {
        var options = CommandOptions()
        options.timeLimitSeconds = 20
        let done = try bundle.start(words, options).wait()
        // As for any file that cannot be read or is no JSON: validate has 2, exec 255.
        #expect([1, 2, 255].contains(done.status), "\(words): \(done)")
        #expect(done.error.contains(file), "\(words): \(done)")
    }

    @Test("a config that is one is refused at once, and leaves nothing", arguments: files)
    func configs(_ file: String) throws {
        try TestBundle.use { bundle throws in
            let config = "\(bundle.directory)/config.json"
            try check(symlink(file, config), "symlink")
            try refuse(bundle, ["create", "--bundle", bundle.directory, bundle.id], config)
            try refuse(bundle, ["run", "--config", file, bundle.id], file)
            try refuse(bundle, ["validate", file], file)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a file of exec --process or update --resources that is one is refused", arguments: files)
    func processes(_ file: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            try refuse(bundle, ["exec", "--process", file, bundle.id], file)
            try refuse(bundle, ["update", "--resources", file, bundle.id], file)
            #expect(try bundle.state().status == .running)
        }
    }
}
