// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import RuntimeSpec
import Testing

@Suite("Features and version")
struct RuntimeFeaturesTests {
    let features = RuntimeFeatures.current()

    @Test("features name the versions that engines look for")
    func versions() {
        #expect(features.ociVersionMin == "1.0.0")
        #expect(features.ociVersionMax == RuntimeVersion.specVersion)
        #expect(features.annotations?["org.opencontainers.runc.version"] == RuntimeVersion.string)
        #expect(RuntimeVersion.libseccompVersion.split(separator: ".").count == 3)
    }

    @Test("features list only what the runtime accepts in a config")
    func refused() {
        let linux = features.linux
        #expect(linux?.namespaces?.contains("mount") == true)
        #expect(linux?.namespaces == linux?.namespaces?.sorted())
        for kind in Namespace.Kind.allCases {
            let isPromised = linux?.namespaces?.contains(kind.rawValue) == true
            #expect(isPromised, "\(kind)")
        }
        #expect(linux?.mountExtensions?.idmap?.enabled == true)
        #expect(linux?.seccomp?.actions?.contains("SCMP_ACT_ERRNO") == true)
        #expect(linux?.memoryPolicy?.modes?.contains("MPOL_WEIGHTED_INTERLEAVE") == true)
        #expect(linux?.memoryPolicy?.flags?.count == 3)
        #expect(linux?.seccomp?.actions?.contains("SCMP_ACT_NOTIFY") == true)
        #expect(linux?.apparmor?.enabled == true && linux?.selinux?.enabled == true)
        #expect(linux?.seccomp?.operators?.count == 7)
        #expect(linux?.capabilities?.contains("CAP_CHECKPOINT_RESTORE") == true)
    }

    @Test("features list what a plan carries out")
    func planned() {
        let linux = features.linux
        #expect(
            linux?.cgroup
                == Features.Cgroup(
                    v1: true, v2: true, systemd: true, systemdUser: true, rdma: true))
        #expect(
            linux?.intelRdt == Features.IntelRdt(enabled: true, schemata: true, monitoring: true))
        #expect(linux?.netDevices?.enabled == true)
        #expect(
            linux?.memoryPolicy?.modes?.count == MemoryPolicy.Mode.allCases.count)
        #expect(
            features.potentiallyUnsafeConfigAnnotations?.contains("org.systemd.property.") == true)
    }

    @Test("features list every kind of hook")
    func hooks() {
        #expect(
            features.hooks == [
                "prestart", "createRuntime", "createContainer", "startContainer", "poststart",
                "poststop",
            ])
    }

    @Test("dockerd's probe for recursive read-only mounts finds the option that it looks for")
    func mountOptions() {
        #expect(features.mountOptions?.contains("rro") == true)
        #expect(features.mountOptions?.contains("idmap") == false)
    }
}
