// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@Suite("Documents other than the config")
struct DocumentTests {
    @Test("a state is written with runc's keys in runc's order")
    func state() throws {
        let state = State(
            ociVersion: "1.3.0", id: "c1", pid: 42, status: .running, bundle: "/b", rootfs: "/b/r",
            created: "2026-01-02T03:04:05.678Z", annotations: ["k": "v"], owner: "")
        #expect(
            text(state.encoded.encoded(pretty: true)) == """
                {
                  "ociVersion": "1.3.0",
                  "id": "c1",
                  "pid": 42,
                  "status": "running",
                  "bundle": "/b",
                  "rootfs": "/b/r",
                  "created": "2026-01-02T03:04:05.678Z",
                  "annotations": {
                    "k": "v"
                  },
                  "owner": ""
                }
                """)
        #expect(try State(json: state.encoded.encoded()) == state)
    }

    @Test("a state without runc's additions is that of the specification")
    func plainState() {
        let state = State(ociVersion: "1.3.0", id: "c", pid: 0, status: .stopped, bundle: "/b")
        #expect(
            text(state.encoded.encoded())
                == #"{"ociVersion":"1.3.0","id":"c","pid":0,"status":"stopped","bundle":"/b"}"#)
    }

    @Test("the message to a seccomp listener contains the state")
    func containerProcessState() {
        let state = State(ociVersion: "1.3.0", id: "c", pid: 7, status: .creating, bundle: "/b")
        let message = ContainerProcessState(
            ociVersion: "1.3.0", fds: ["seccompFd"], pid: 7, metadata: "m", state: state)
        #expect(
            text(message.encoded.encoded()) == """
                {"ociVersion":"1.3.0","fds":["seccompFd"],"pid":7,"metadata":"m","state":\
                \(text(state.encoded.encoded()))}
                """)
    }

    @Test("features keep nil, empty and false distinct")
    func features() throws {
        let features = Features(
            ociVersionMin: "1.0.0", ociVersionMax: "1.3.0", hooks: ["poststop"], mountOptions: [],
            linux: Features.Linux(
                namespaces: ["pid"], capabilities: ["CAP_KILL"],
                cgroup: Features.Cgroup(
                    v1: true, v2: true, systemd: false, systemdUser: false, rdma: true),
                seccomp: Features.Seccomp(
                    enabled: true, actions: ["A"], operators: ["O"], archs: ["X"],
                    knownFlags: ["F"],
                    supportedFlags: []),
                apparmor: Features.Support(enabled: true), selinux: Features.Support(),
                intelRdt: Features.IntelRdt(enabled: true, schemata: true, monitoring: false),
                memoryPolicy: Features.MemoryPolicy(modes: ["M"], flags: []),
                mountExtensions: Features.MountExtensions(idmap: Features.Support(enabled: true)),
                netDevices: Features.Support(enabled: false)),
            annotations: ["v": "1"], potentiallyUnsafeConfigAnnotations: ["run."])
        #expect(
            text(features.encoded.encoded()) == """
                {"ociVersionMin":"1.0.0","ociVersionMax":"1.3.0","hooks":["poststop"],\
                "mountOptions":[],"linux":{"namespaces":["pid"],"capabilities":["CAP_KILL"],\
                "cgroup":{"v1":true,"v2":true,"systemd":false,"systemdUser":false,"rdma":true},\
                "seccomp":{"enabled":true,"actions":["A"],"operators":["O"],"archs":["X"],\
                "knownFlags":["F"],"supportedFlags":[]},"apparmor":{"enabled":true},"selinux":{},\
                "intelRdt":{"enabled":true,"schemata":true,"monitoring":false},\
                "memoryPolicy":{"modes":["M"],"flags":[]},\
                "mountExtensions":{"idmap":{"enabled":true}},"netDevices":{"enabled":false}},\
                "annotations":{"v":"1"},"potentiallyUnsafeConfigAnnotations":["run."]}
                """)
        #expect(try Features(json: features.encoded.encoded()) == features)
    }

    @Test("the template config equals runc's, except for known later changes")
    func template() throws {
        var runc = try Spec(json: Fixture.good("runc-spec").json)
        runc.ociVersion = "1.3.0"
        runc.hostname = "swrunc"
        runc.process?.capabilities?.ambient = nil
        runc.linux?.namespaces?.append(Namespace(kind: .cgroup))
        #expect(Spec.template == runc)
        try Spec.template.check()
        #expect(Spec.template.warnings.isEmpty)
    }

    @Test("the rootless template config equals runc's, except for known later changes")
    func rootlessTemplate() throws {
        var runc = try Spec(json: Fixture.good("runc-spec-rootless").json)
        runc.ociVersion = "1.3.0"
        runc.hostname = "swrunc"
        runc.process?.capabilities?.ambient = nil
        runc.linux?.namespaces?.insert(Namespace(kind: .cgroup), at: 4)
        #expect(Spec.rootlessTemplate(userID: 0, groupID: 0) == runc)
        let own = Spec.rootlessTemplate(userID: 1000, groupID: 1001)
        #expect(own.linux?.uidMappings == [IDMapping(containerID: 0, hostID: 1000, size: 1)])
        #expect(own.linux?.gidMappings == [IDMapping(containerID: 0, hostID: 1001, size: 1)])
        try own.check()
    }
}
