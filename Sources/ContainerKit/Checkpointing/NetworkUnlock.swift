// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import InitProgram
internal import SystemPackage

/// Takes away the rules by which CRIU has locked a container's network, if CRIU has not done so.
///
/// CRIU forgets it if it fails while lazy pages are fetched, and cannot do it if it is killed. The
/// rules are those of its network_lock_internal in criu/net.c.
struct NetworkUnlock {
    private let pid: Int32
    private let lock: NetworkLock

    init(of pid: Int32, _ lock: NetworkLock?) {
        self.pid = pid
        self.lock = lock ?? .iptables
    }

    /// How long a program may take.
    private static let limitSeconds = 2

    /// What removes CRIU's chain from the table of a family of addresses.
    private static let rules = """
        *filter
        :CRIU - [0:0]
        -D INPUT -j CRIU
        -D OUTPUT -j CRIU
        -X CRIU
        COMMIT

        """

    /// Removes the rules that are there.
    ///
    /// - Throws: `criu` if a program is missing or fails.
    func run() throws(ContainerError) {
        switch lock {
        case .skip: return
        case .nftables: try run(["nft", "-f", "-"], "delete table inet CRIU-\(pid)\n")
        case .iptables:
            for family in ["iptables", "ip6tables"] {
                // CRIU locks one after the other, and IPv6 only if the kernel has it.
                let table = try run(["\(family)-save", "-t", "filter"], "")
                guard table.split(separator: "\n").contains(where: { $0.hasPrefix(":CRIU ") })
                else { continue }
                try run(["\(family)-restore", "--noflush"], Self.rules)
            }
        }
    }

    @discardableResult
    private func run(_ command: [String], _ input: String) throws(ContainerError) -> String {
        // By nsenter, of util-linux or busybox.
        guard let path = HostProgram.find("nsenter") else {
            throw ContainerError(.criu, "nsenter is not in $PATH")
        }
        let words = ["nsenter", "--net=/proc/\(pid)/ns/net", "--"] + command
        let program = HostProgram(
            path: path, arguments: words.map { ByteText($0) }, environment: nil)
        let streams: HookStreams
        let outcome: HostProgram.Outcome
        do throws(SystemCallError) {
            streams = try HookStreams(Array(input.utf8), HookOutlets(annotations: [:]))
            outcome = try program.run(streams, timeoutSeconds: Self.limitSeconds)
        } catch {
            throw ContainerError(error, "unable to run \(command[0])")
        }
        if case .ended(.exited(0)) = outcome { return streams.outputText }
        throw ContainerError(.criu, "\(command[0]) has failed: \(streams.errorText)")
    }
}
#endif
