// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec
internal import SystemPackage

extension CgroupLayout {
    /// The layout of cgroups below the container's: `paths` by controller, or a single path under
    /// the key "".
    ///
    /// - Throws: `invalidArgument` for a path that leads outside, or a controller that is not
    ///   present.
    func entering(_ paths: [String: String]) throws(ContainerError) -> CgroupLayout {
        var result = self
        result.adopted = nil
        if let path = paths[""] {
            let inner = try Self.inner(path)
            for index in directories.indices { result.directories[index].cgroup += inner }
            return result
        }
        for (controller, path) in paths.sorted(by: { $0.key < $1.key }) {
            let found = directories.firstIndex { $0.controllers.contains(controller) }
            guard let index = found else {
                throw ContainerError(
                    .invalidArgument, "unknown controller \(controller) in SubCgroupPaths",
                    hint: isUnified ? "cgroup v2 has one path for all controllers" : nil)
            }
            let cgroup = directories[index].cgroup + (try Self.inner(path))
            // Controllers of one hierarchy share a directory.
            let isTaken = result.directories[index].cgroup != directories[index].cgroup
            guard !isTaken || result.directories[index].cgroup == cgroup else {
                throw ContainerError(
                    .invalidArgument,
                    "controller \(controller) is mounted together with one that has another path",
                    hint: "give all controllers of one mount the same path")
            }
            result.directories[index].cgroup = cgroup
        }
        return result
    }

    /// `path` in the form `/a/b`; empty for the cgroup itself.
    static func inner(_ path: String) throws(ContainerError) -> String {
        var parts: [Substring] = []
        for part in path.parts(between: "/") where part != "." {
            if part != ".." {
                parts.append(part)
            } else if parts.popLast() == nil {
                throw ContainerError(.invalidArgument, "\(path) is not a sub cgroup path")
            }
        }
        return parts.pathBelow
    }
}

extension Cgroup {
    /// Checks that a process can enter, for a clear error before it starts.
    func checkEntrance() throws(ContainerError) {
        for directory in layout.directories {
            // The texts are runc's.
            let text = "error adding pid of the process to cgroups: \(directory.name)/cgroup.procs"
            guard (try? status(at: directory.path)) != nil else {
                throw ContainerError(.cgroup, "\(text): no such file or directory")
            }
            guard Cgroup.takesProcesses(directory) else {
                throw ContainerError(.cgroup, "\(text): device or resource busy")
            }
        }
    }

    /// Whether a v2 cgroup itself accepts processes: not if it has given a controller to its
    /// children, unless that controller supports threads.
    ///
    /// A missing cgroup accepts none. If this cannot be read, the kernel decides. Kernel:
    /// cgroup-v2.rst, No Internal Process Constraint and Threads.
    static func takesProcesses(_ directory: CgroupDirectory) -> Bool {
        guard directory.isUnified else { return true }
        do throws(SystemCallError) {
            let text = try readFile("\(directory.path)/cgroup.subtree_control")
            return words(of: text).allSatisfy(["cpu", "cpuset", "perf_event", "pids"].contains)
        } catch {
            return error.errno != .noSuchFileOrDirectory
        }
    }

    /// Init's present cgroup, if it has left the unified one.
    ///
    /// Nil unless init is listed in it: the path from /proc may be relative to another namespace,
    /// or name another container's cgroup by now.
    func following(initProcess pid: Int32) -> Cgroup? {
        guard let membership = try? readFile("/proc/\(pid)/cgroup") else { return nil }
        let followed = layout.following(membership)
        guard followed != layout, let index = followed.unifiedIndex else { return nil }
        let path = followed.directories[index].path
        guard (try? CgroupTree.processes(in: path))?.contains(Int(pid)) == true else { return nil }
        return Cgroup(followed)
    }
}
#endif
