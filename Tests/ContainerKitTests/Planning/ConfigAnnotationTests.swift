// SPDX-License-Identifier: Apache-2.0

import Foundation
import KernelVocabulary
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Annotations in place of fields")
struct ConfigAnnotationTests {
    private func followed(_ annotations: [String: String], _ seccomp: Seccomp?) throws -> Spec {
        try Spec(
            ociVersion: "1.3.0", process: Process(args: ["a"], cwd: "/"), root: Root(path: "r"),
            annotations: annotations, linux: Linux(seccomp: seccomp)
        ).followingAnnotations()
    }

    private func refusal(_ annotations: [String: String]) -> String {
        do throws(ContainerError) {
            let spec = Spec(ociVersion: "1.3.0", annotations: annotations)
            _ = try spec.followingAnnotations()
            return "taken"
        } catch {
            return "\(error.field ?? ""): \(error.message)"
        }
    }

    @Test("an annotation names the seccomp listener of a profile that has none")
    func receiver() throws {
        let rules = [SeccompRule(names: ["mkdir"], action: .notify)]
        let name = ConfigAnnotation.seccompReceiver
        var profile = Seccomp(defaultAction: .allow, syscalls: rules)
        let spec = try followed([name: "/agent"], profile)
        #expect(spec.linux?.seccomp?.listenerPath == "/agent")
        try spec.check()
        profile.listenerPath = "/own"
        #expect(try followed([name: "/agent"], profile).linux?.seccomp?.listenerPath == "/own")
        #expect(try followed([name: "/agent"], nil).linux?.seccomp == nil)
    }

    @Test("an annotated seccomp program replaces the whole profile")
    func program() throws {
        let spec = try followed(
            [ConfigAnnotation.seccompProgram: ""], Seccomp(defaultAction: .notify))
        #expect(spec.linux?.seccomp == nil)
    }

    @Test("an annotated listener socket is an absolute path, and is refused beside a program")
    func refused() {
        #expect(
            refusal(["run.oci.seccomp.receiver": "agent"])
                == #"annotations.run.oci.seccomp.receiver: must be an absolute path, not "agent""#)
        #expect(
            refusal(["run.oci.pidfd_receiver": ""])
                == #"annotations.run.oci.pidfd_receiver: must be an absolute path, not """#)
        #expect(
            refusal(["run.oci.seccomp.receiver": "/a", "run.oci.seccomp_bpf_data": ""])
                == "annotations.run.oci.seccomp_bpf_data: excludes run.oci.seccomp.receiver")
        #expect(refusal(["other": "x"]) == "taken")
    }

    @Test("base64 text is decoded as Foundation encodes it")
    func base64() {
        for length in 0..<70 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ length) }
            let text = Data(bytes).base64EncodedString()
            #expect(Base64.bytes(of: text) == bytes, "\(text)")
            let lines = Data(bytes).base64EncodedString(options: [
                .lineLength64Characters, .endLineWithLineFeed,
            ])
            #expect(Base64.bytes(of: lines) == bytes)
        }
    }

    @Test(
        "a text that is not base64 is refused",
        arguments: [
            "A", "AA", "AAA", "A===", "AA=", "AB==", "AAB=", "AA==AAAA", "A-AA", "AA A", "=",
        ])
    func notBase64(_ text: String) {
        #expect(Base64.bytes(of: text) == nil)
    }

    @Test("an annotated filter is whole instructions, and no more than the kernel accepts")
    func instructions() throws {
        func refusal(_ bytes: Int) -> String {
            do throws(SeccompError) {
                _ = try SeccompFilter(
                    base64: Data(repeating: 6, count: bytes).base64EncodedString())
                return "taken"
            } catch {
                return "\(error)"
            }
        }
        let field = #"annotations["run.oci.seccomp_bpf_data"]"#
        #expect(refusal(0) == "\(field): 0 bytes are no program of 1 to 4096 instructions")
        #expect(refusal(12).contains("12 bytes"))
        #expect(refusal(8) == "taken" && refusal(8 * 4096) == "taken")
        #expect(refusal(8 * 4097).contains("32776 bytes"))
        let filter = try SeccompFilter(base64: "BgAAAAAA/38=")
        #expect(filter.program == FilterInstruction.end(0x7fff_0000).bytes)
        #expect(filter.flags == .empty)
    }
}
