// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ContainerKit

/// The bytes of a text of hexadecimal digits.
private func bytes(_ digits: String) -> [UInt8] {
    var rest = digits[...]
    var bytes: [UInt8] = []
    while !rest.isEmpty {
        bytes.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
        rest = rest.dropFirst(2)
    }
    return bytes
}

@Suite("CRIU's messages")
struct CriuMessagesTests {
    // The expected bytes are those of `protoc --encode=criu_req rpc.proto` with CRIU 4.2's rpc.proto.

    @Test("a dump request has the same bytes as protoc's encoding")
    func dump() {
        var options = CriuOptions(imageDirectory: 5, logFile: "dump.log")
        options.pid = 300
        options.leavesRunning = true
        options.tcpEstablished = true
        options.fileLocks = true
        options.pageServer = ("::1", 27)
        options.root = "/b/rootfs"
        options.parentImage = "../one"
        options.tracksMemory = true
        options.workDirectory = 6
        options.remapsLinks = true
        options.externalMounts = [("/data", "/data"), ("/proc/keys", "/dev/null")]
        options.cgroupsMode = .soft
        options.external = ["net[4026531840]:extRootNetNS"]
        options.emptyNamespaces = 1 << 30
        options.frozenCgroup = "/sys/fs/cgroup/freezer/c"
        options.tcpSkipsInFlight = true
        options.lazyPages = true
        options.configFile = "/etc/criu/runc.conf"
        options.networkLock = .skip
        var request = CriuRequest(.dump)
        request.options = options
        #expect(
            request.encoded
                == bytes(
                    "080112e001080510ac021801200028013000380040014804520864756d702e6c6f675a070a033a3a"
                        + "31101b60016a092f622f726f6f74667372062e2e2f6f6e657801800100880106900101ba010e"
                        + "0a052f6461746112052f64617461ba01170a0a2f70726f632f6b65797312092f6465762f6e75"
                        + "6c6cc00101d00100900203aa021c6e65745b343032363533313834305d3a657874526f6f744e"
                        + "65744e53b0028080808004e202182f7379732f66732f6367726f75702f667265657a65722f63"
                        + "f002018003019003019a03132f6574632f637269752f72756e632e636f6e66a00300800403"
                ))
    }

    @Test("a restore request has the same bytes as protoc's encoding")
    func restore() {
        var options = CriuOptions(imageDirectory: Int(Int32.max), logFile: "restore.log")
        options.evasiveDevices = true
        options.shellJob = true
        options.root = "/r"
        options.removesDuplicates = true
        options.cgroupRoots = [("cpu", "/c"), ("", "/c")]
        options.isSibling = true
        options.inherited = [("pipe:[7]", 1), ("extRootNetNS", 1000)]
        options.cgroupsMode = .ignore
        options.joined = [("ipc", "/proc/1/fd/9")]
        options.tcpClose = true
        options.lsmProfile = "apparmor:p"
        options.lsmMountContext = "system_u:object_r:c:s0"
        var request = CriuRequest(.restore)
        request.options = options
        #expect(
            request.encoded
                == bytes(
                    "080212b80108ffffffff071800200028003001380140004804520b726573746f72652e6c6f676001"
                        + "6a022f727800800101900100c00101ca01090a0363707512022f63ca01060a0012022f63d001"
                        + "01da010c0a08706970653a5b375d1001da01110a0c657874526f6f744e65744e5310e8079002"
                        + "00ba02130a03697063120c2f70726f632f312f66642f39f00200800300900301a00301aa030a"
                        + "61707061726d6f723a70fa031673797374656d5f753a6f626a6563745f723a633a7330"))
    }

    @Test("a reply to a notification and a feature query have the same bytes as protoc's encoding")
    func shortRequests() {
        var answer = CriuRequest(.notify)
        answer.acknowledges = false
        #expect(answer.encoded == bytes("08061800"))
        var question = CriuRequest(.featureCheck)
        question.features = CriuFeatures()
        question.features?.tracksMemory = true
        question.features?.lazyPages = true
        #expect(question.encoded == bytes("08092a0408011001"))
    }

    @Test("CRIU responses that protoc encoded can be decoded")
    func answers() throws {
        let notification = try #require(
            CriuResponse(bytes("080610012a130a0c706f73742d726573746f72651080808002")))
        #expect(notification.kind == .notify && notification.isSuccess)
        #expect(notification.script == "post-restore" && notification.pid == 4_194_304)
        let failure = try #require(
            CriuResponse(
                bytes(
                    "0801100038ccffffffffffffffff014a174572726f722028637269752f782e633a31293a20c3a90a"
                )
            ))
        #expect(failure.kind == .dump && !failure.isSuccess && failure.errno == -52)
        #expect(failure.message == "Error (criu/x.c:1): é\n")
        let version = try #require(
            CriuResponse(bytes("080a1001520e080410021a01762001280032016e")))
        #expect(version.version == CriuVersion(major: 4, minor: 2))
        let features = try #require(CriuResponse(bytes("080910014206080010011801"))).features
        #expect(features?.tracksMemory == false && features?.lazyPages == true)
        let restored = try #require(CriuResponse(bytes("080210012202080c")))
        #expect(restored.kind == .restore && restored.pid == 12)
    }

    @Test(
        "bytes that are not a CRIU message are refused and never trap",
        arguments: [
            "", "08", "0880", "ffffffffffffffffffff01", "0a05616263", "0affffffffffffffffff01",
            "0b",
            "09000000", "0d0000", "080680808080808080808080", "3a", "1001",
        ])
    func damaged(_ digits: String) {
        #expect(CriuResponse(bytes(digits)) == nil)
    }

    @Test("a message field of a later CRIU release is skipped, whatever its type")
    func unknownFields() throws {
        // 100: varint, 101: 64 bits, 102: bytes, 103: 32 bits; then type and success.
        let message = bytes(
            "a00605" + "a9060102030405060708" + "b20602aaaa" + "bd0601020304" + "08021001")
        let response = try #require(CriuResponse(message))
        #expect(response.kind == .restore && response.isSuccess)
        // An unknown kind is nil.
        #expect(try #require(CriuResponse(bytes("08631001"))).kind == nil)
    }

    @Test("CRIU releases are compared by both of their numbers")
    func versions() {
        #expect(CriuVersion(major: 3, minor: 9) < .needed)
        #expect(CriuVersion(major: 3, minor: 16) >= .needed)
        #expect(CriuVersion(major: 4, minor: 0) > .needed)
    }
}

@Suite("Checkpoint notes")
struct CheckpointNotesTests {
    @Test("checkpoint notes can be read back")
    func roundTrip() {
        let notes = CheckpointNotes(
            id: "a",
            mounts: [
                ExternalMount("/data", .bind(destination: "/link", below: "")),
                ExternalMount("/data/in", .bind(destination: "/link", below: "/in")),
                ExternalMount("/sys/fs/cgroup/cpu", .cgroup("cpu")),
                ExternalMount("/dev/null", .device), ExternalMount("/proc/keys", .mask),
                ExternalMount("/run/notify", .readiness),
            ], joined: ["network"])
        #expect(CheckpointNotes(notes.json) == notes)
        // A mask is always named /dev/null, as in runc's images.
        #expect(notes.mounts.map(\.name)[4...] == ["/dev/null", "/run/notify"])
    }

    @Test(
        "checkpoint notes of a later version, or with an invalid mount, are refused",
        arguments: [
            #"{"version":2,"id":"a","mounts":[],"joinedNamespaces":[]}"#,
            #"{"version":1,"id":"a","mounts":[{}],"joinedNamespaces":[]}"#,
            #"{"version":1,"id":"a","mounts":[{"mountPoint":"x"}],"joinedNamespaces":[]}"#,
            #"{"version":1,"id":"a","mounts":[],"joinedNamespaces":[1]}"#, "[]",
        ])
    func damaged(_ text: String) throws {
        #expect(CheckpointNotes(try JSONValue(json: Array(text.utf8))) == nil)
    }
}
