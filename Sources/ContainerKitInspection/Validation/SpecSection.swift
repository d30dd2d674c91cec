// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// A section of the runtime specification.
public struct SpecSection: Hashable, Sendable, CustomStringConvertible {
    /// The file of the specification: `config.md` or `config-linux.md`.
    public let document: String
    /// The heading of the section; nil is the whole document.
    public let heading: String?

    /// The section that the model names as `config.md, Root`.
    init(_ text: String) {
        let comma = text.firstIndex(of: ",")
        document = String(text[..<(comma ?? text.endIndex)])
        heading = comma.map { String(text[text.index(after: $0)...].drop { $0 == " " }) }
    }

    /// The section that describes the field at `path`.
    init(of path: JSONPath) {
        let path = path.description
        let place = Self.places.filter { path.hasPrefix($0.prefix) }
            .max { $0.prefix.utf8.count < $1.prefix.utf8.count }
        self.init(place?.section ?? "config.md")
    }

    /// The document and the heading.
    public var description: String { heading.map { "\(document), \($0)" } ?? document }

    /// The anchor that the specification's pages give to the heading, without `#`.
    public var anchor: String? {
        heading.map { heading in
            String(
                heading.lowercased().compactMap { letter in
                    if letter == " " { return "-" }
                    return letter.isLetter || letter.isNumber || letter == "-" ? letter : nil
                })
        }
    }

    /// The address of the section in the modelled version of the specification.
    public var link: String {
        "https://github.com/opencontainers/runtime-spec/blob/v\(Spec.modeledVersion)/\(document)"
            + (anchor.map { "#\($0)" } ?? "")
    }

    private static let places: [(prefix: String, section: String)] = [
        ("ociVersion", "config.md, Specification version"),
        ("root", "config.md, Root"),
        ("mounts", "config.md, Mounts"),
        ("process", "config.md, Process"),
        ("process.user", "config.md, User"),
        ("process.rlimits", "config.md, POSIX process"),
        ("process.capabilities", "config.md, Linux Process"),
        ("process.apparmorProfile", "config.md, Linux Process"),
        ("process.selinuxLabel", "config.md, Linux Process"),
        ("process.noNewPrivileges", "config.md, Linux Process"),
        ("process.oomScoreAdj", "config.md, Linux Process"),
        ("process.scheduler", "config.md, Linux Process"),
        ("process.ioPriority", "config.md, Linux Process"),
        ("process.execCPUAffinity", "config.md, Linux Process"),
        ("hostname", "config.md, Hostname"),
        ("domainname", "config.md, Domainname"),
        ("hooks", "config.md, POSIX-platform Hooks"),
        ("annotations", "config.md, Annotations"),
        ("linux", "config-linux.md"),
        ("linux.namespaces", "config-linux.md, Namespaces"),
        ("linux.uidMappings", "config-linux.md, User namespace mappings"),
        ("linux.gidMappings", "config-linux.md, User namespace mappings"),
        ("linux.timeOffsets", "config-linux.md, Offset for Time Namespace"),
        ("linux.devices", "config-linux.md, Devices"),
        ("linux.netDevices", "config-linux.md, Network Devices"),
        ("linux.cgroupsPath", "config-linux.md, Cgroups Path"),
        ("linux.resources", "config-linux.md, Control groups"),
        ("linux.resources.devices", "config-linux.md, Allowed Device list"),
        ("linux.resources.memory", "config-linux.md, Memory"),
        ("linux.resources.cpu", "config-linux.md, CPU"),
        ("linux.resources.blockIO", "config-linux.md, Block IO"),
        ("linux.resources.hugepageLimits", "config-linux.md, Huge page limits"),
        ("linux.resources.network", "config-linux.md, Network"),
        ("linux.resources.pids", "config-linux.md, PIDs"),
        ("linux.resources.rdma", "config-linux.md, RDMA"),
        ("linux.resources.unified", "config-linux.md, Unified"),
        ("linux.intelRdt", "config-linux.md, IntelRdt"),
        ("linux.sysctl", "config-linux.md, Sysctl"),
        ("linux.seccomp", "config-linux.md, Seccomp"),
        ("linux.rootfsPropagation", "config-linux.md, Rootfs Mount Propagation"),
        ("linux.maskedPaths", "config-linux.md, Masked Paths"),
        ("linux.readonlyPaths", "config-linux.md, Readonly Paths"),
        ("linux.mountLabel", "config-linux.md, Mount Label"),
        ("linux.personality", "config-linux.md, Personality"),
        ("linux.memoryPolicy", "config-linux.md, Memory policy"),
    ]
}
#endif
