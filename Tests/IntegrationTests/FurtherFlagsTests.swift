// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Flags of crun", Host.root)
struct FurtherFlagsTests {
    @Test("--config reads another config file, relative to the caller's directory")
    func otherConfig() throws {
        try TestBundle.use { bundle throws in
            bundle.script("exit 5")
            try bundle.writeConfig()
            try check(
                rename("\(bundle.directory)/config.json", "\(bundle.directory)/other.json"),
                "rename")
            var options = CommandOptions()
            options.directory = bundle.directory
            for flag in [["--config", "other.json"], ["-f", "./other.json"]] {
                let words = ["run"] + flag + ["--bundle", bundle.directory, bundle.id]
                #expect(try bundle.start(words, options).wait().status == 5)
            }
            let missing = try bundle.swrunc(
                "run", "--config", "/nowhere.json", "--bundle", bundle.directory, bundle.id)
            #expect(missing.status == 1 && missing.error.contains("/nowhere.json"), "\(missing)")
        }
    }

    @Test("delete --regex deletes all containers whose id matches, and no others")
    func deleteMatching() throws {
        try TestBundle.use { bundle throws in
            let names = ["a1", "a2", "b1"].map { "\(bundle.id)-\($0)" }
            for name in names { try bundle.create(id: name) }
            let done = try bundle.swrunc("delete", "--regex", "^\(bundle.id)-a[0-9]+$")
            #expect(done.status == 0 && done.error == "", "\(done)")
            #expect(try bundle.swrunc("list", "-q").text == names[2])
            let wrong = try bundle.swrunc("delete", "--regex", "(")
            #expect(wrong.status == 1 && wrong.error.contains("invalid regular expression"))
            #expect(try bundle.swrunc("delete", "--regex", "--force", ".").status == 0)
            #expect(try bundle.swrunc("list", "-q").text == "")
        }
    }

    @Test(
        "--log-level sets the lowest level that is logged; --debug overrides it",
        arguments: [
            (["--log-level", "error"], false), (["--log-level=warning"], false),
            (["--log-level", "debug"], true), (["--log-level", "error", "--debug"], true),
        ])
    func logLevel(_ flags: [String], _ isVerbose: Bool) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            try bundle.writeConfig()
            let run = ["run", "--bundle", bundle.directory, bundle.id]
            let done = try bundle.start(flags + run).wait()
            #expect(done.error.contains("level=debug") == isVerbose, "\(done)")
            let wrong = try bundle.swrunc("--log-level", "loud", "list")
            #expect(wrong.status == 1 && wrong.error.contains("invalid log-level: loud"))
        }
    }
}
