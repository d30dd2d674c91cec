// SPDX-License-Identifier: Apache-2.0

import KernelVocabulary
import RuntimeSpec
import SystemPackage
import Testing

@testable import ContainerKit

@Suite("The caller's choices in the record")
struct CallerChoicesTests {
    private func choices(_ change: (inout LaunchOptions, inout CreateFacts) -> Void)
        -> CallerChoices
    {
        var options = LaunchOptions()
        var facts = CreateFacts(id: "box", bundlePath: "/b", host: HostFacts(cgroups: .planV2))
        change(&options, &facts)
        return CallerChoices(options, facts, looksAtRights: facts.startsAtOnce)
    }

    @Test("all choices of the caller can be read back from the record")
    func everything() throws {
        let kept = choices { options, facts in
            options.movesRoot = true
            options.keepsSessionKeyring = true
            options.rootless = false
            options.cgroupDriver = .systemd
            options.preservedDescriptorCount = 3
            options.terminal = .consoleSocket("/run/console")
            options.pidFile = "/run/pid"
            options.keepsAccounting = true
            options.pidfdSocket = "/run/pidfd"
            options.notifySocket = "@notify"
            options.limits = [Rlimit(type: "RLIMIT_FSIZE", hard: .max, soft: 7)]
            facts.startsAtOnce = true
            facts.host.adoptedCgroup = .ofCaller
            facts.hasUnbindableSources = true
            facts.caller.replacedStreams = [0, 1, 2]
            facts.caller.streams = [
                StandardStream(number: 0, kind: .device(.null, flags: .readWrite), owner: 0),
                StandardStream(number: 1, kind: .pipe, owner: 5),
                StandardStream(number: 2, kind: .socket, owner: 6),
            ]
        }
        let read = try #require(CallerChoices(kept.json))
        #expect(read.json == kept.json)
        #expect(read.startsAtOnce && read.looksAtRights && read.hasUnbindableSources)
        #expect(read.options.movesRoot && read.options.keepsSessionKeyring)
        #expect(read.options.rootless == false && read.options.cgroupDriver == .systemd)
        #expect(read.options.preservedDescriptorCount == 3)
        #expect(read.options.terminal == .consoleSocket("/run/console"))
        #expect(read.options.pidFile == "/run/pid" && read.options.pidfdSocket == "/run/pidfd")
        #expect(read.options.notifySocket == "@notify")
        #expect(read.options.limits == kept.options.limits)
        #expect(read.adoptedCgroup == .ofCaller)
        #expect(read.streams == kept.streams && read.replacedStreams == [0, 1, 2])
    }

    @Test("a default choice is left out of the record, and a missing one is read as the default")
    func defaults() throws {
        let kept = choices { _, _ in }
        guard case .object(let object) = kept.json else {
            Issue.record("no object")
            return
        }
        #expect(object.members.map(\.key) == ["preserved"])
        let read = try #require(CallerChoices(.object([:])))
        #expect(read.json == kept.json)
        #expect(read.options.terminal == nil && read.options.rootless == nil)
    }

    @Test(
        "choices of the wrong form in a record are not read",
        arguments: [
            #"[]"#, #"{"run": 1}"#, #"{"streams": [{"number": 0, "owner": 0, "kind": "tape"}]}"#,
            #"{"limits": [{"type": "RLIMIT_CORE", "hard": 1, "soft": 1}]}"#,
            #"{"terminal": false}"#, #"{"preserved": "2"}"#, #"{"replacedStreams": [-1]}"#,
        ])
    func damage(_ json: String) throws {
        #expect(CallerChoices(try JSONValue(json: Array(json.utf8))) == nil)
    }
}
