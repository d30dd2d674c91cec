// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// Delegates a container's cgroup to a user of the host.
///
/// On v2, a container with its own cgroup namespace and a writable cgroup file system gets
/// ownership of its cgroup. So a program that is not root on the host, such as systemd in a user
/// namespace, can make child cgroups in it. The limits stay out of its reach.
///
/// Spec: config-linux.md, Cgroup ownership. Kernel: cgroup-v2.rst, Delegation.
enum CgroupDelegation {
    /// The user of the host who gets the cgroup; nil leaves it to root.
    static func owner(_ spec: Spec, isUnified: Bool) -> UInt32? {
        guard isUnified, let linux = spec.linux,
            let namespace = linux.namespace(.cgroup), (namespace.path ?? "").isEmpty,
            (spec.mounts ?? []).contains(where: isWritableCgroupMount)
        else { return nil }
        let user = spec.process?.user.uid ?? 0
        guard linux.namespace(.user) != nil else { return user == 0 ? nil : user }
        let mapping = (linux.uidMappings ?? []).first { mapping in
            user >= mapping.containerID && user - mapping.containerID < mapping.size
        }
        // A user without an ID on the host cannot own anything there.
        guard let mapping else { return nil }
        let (owner, isTooHigh) = mapping.hostID.addingReportingOverflow(
            user - mapping.containerID)
        return isTooHigh || owner == .max || owner == 0 ? nil : owner
    }

    private static func isWritableCgroupMount(_ mount: Mount) -> Bool {
        mount.source == "cgroup" && mount.destination.rootedPath == "/sys/fs/cgroup"
            && !(mount.options ?? []).contains("ro")
    }

    /// The files that the kernel lets an owner write to; all others are limits.
    static func files() -> [String] {
        guard let text = try? readFile("/sys/kernel/cgroup/delegate") else {
            return ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
        }
        return words(of: text).filter { !$0.utf8.contains(UInt8(ascii: "/")) }
    }
}

extension Cgroup {
    /// Makes a user of the host the owner of the v2 cgroup and of its delegated files.
    func delegate(to owner: UInt32) throws(CgroupError) {
        guard let index = layout.unifiedIndex else { return }
        try delegate(layout.directories[index].path, to: owner)
    }

    /// Makes a user the owner of one directory and its delegated files.
    func delegate(_ path: String, to owner: UInt32) throws(CgroupError) {
        do throws(SystemCallError) {
            let directory = try openFile(path, .readOnly | .directory)
            do throws(SystemCallError) {
                try changeOwner(of: ".", at: directory.number, to: owner)
            } catch  where error.errno == .notPermitted {
                // Only root can change owners; the spec does not require it.
                return
            }
            for file in CgroupDelegation.files() {
                do throws(SystemCallError) {
                    try changeOwner(of: file, at: directory.number, to: owner)
                } catch  where error.errno == .noSuchFileOrDirectory {
                    // The file belongs to a controller that the cgroup does not have.
                    continue
                }
            }
        } catch {
            throw CgroupError(
                failure: error,
                message: "unable to give the container's cgroup to user \(owner)")
        }
    }
}
#endif
