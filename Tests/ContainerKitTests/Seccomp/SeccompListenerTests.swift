// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("The listener of a seccomp profile")
struct SeccompListenerTests {
    private let state = State(
        ociVersion: "1.3.0", id: "box", pid: 0, status: .creating, bundle: "/bundle",
        annotations: ["a": "b"])

    @Test("listenerPath is ignored without a notify rule, as the specification requires")
    func ignored() {
        let profile = Seccomp(
            defaultAction: .allow, listenerPath: "/a.sock", listenerMetadata: "m",
            syscalls: [SeccompRule(names: ["mkdir"], action: .errno)])
        #expect(SeccompListener(profile, state: state) == nil)
        #expect(SeccompListener(nil, state: state) == nil)
    }

    @Test("a relative listenerPath starts at the bundle directory")
    func paths() throws {
        var profile = PlanCase.notifyingProfile
        #expect(SeccompListener(profile, state: state)?.path == "/run/agent.sock")
        profile.listenerPath = "@abstract"
        #expect(SeccompListener(profile, state: state)?.path == "/bundle/@abstract")
    }

    @Test("the listener is sent the container process state of the specification")
    func message() throws {
        let listener = try #require(SeccompListener(PlanCase.notifyingProfile, state: state))
        let version = RuntimeVersion.specVersion
        #expect(
            listener.message(of: 7) == """
                {"ociVersion":"\(version)","fds":["seccompFd"],"pid":7,"metadata":"more",\
                "state":{"ociVersion":"1.3.0","id":"box","pid":7,"status":"creating",\
                "bundle":"/bundle","annotations":{"a":"b"}}}
                """)
        var running = state
        running.pid = 5
        running.status = .running
        let ofExec = try #require(SeccompListener(PlanCase.notifyingProfile, state: running))
        #expect(ofExec.message(of: 7).firstRange(of: #""pid":7,"metadata""#) != nil)
        #expect(ofExec.message(of: 7).firstRange(of: #""pid":5,"status":"running""#) != nil)
    }
}
