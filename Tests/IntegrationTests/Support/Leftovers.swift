// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

/// What a test may not leave on the machine.
///
/// Everything of a test is found by its token, a word that is in the names of its directory,
/// containers and cgroups and in the environment of its processes.
struct Leftovers {
    static let variable = "SWRUNC_TEST"

    let token: String
    let directory: String

    /// Live processes with the token in their environment or the directory in their arguments, and those
    /// that were born empty, which have neither: their cgroup or progress page tells whose they are.
    func processes() -> [(pid: pid_t, text: String)] {
        entries(of: "/proc").compactMap { name in
            guard let pid = pid_t(name), pid != getpid() else { return nil }
            let environment = (try? readText("/proc/\(pid)/environ")) ?? ""
            let arguments = (try? readText("/proc/\(pid)/cmdline")) ?? ""
            guard
                environment.contains("\(Self.variable)=\(token)") || arguments.contains(directory)
                    || isBornEmpty(pid)
            else { return nil }
            return (pid, arguments.replacing("\0", with: " "))
        }
    }

    private func isBornEmpty(_ pid: pid_t) -> Bool {
        guard readLink("/proc/\(pid)/exe").hasPrefix("/memfd:init") else { return false }
        let told = ["cgroup", "maps"].map { (try? readText("/proc/\(pid)/\($0)")) ?? "" }
        return told.contains { $0.contains(token) }
    }

    func mounts() -> [String] {
        ((try? readText("/proc/self/mountinfo")) ?? "").lines.compactMap { line in
            let fields = line.split(separator: " ")
            let mountPoint = fields.count > 4 ? String(fields[4]) : ""
            return mountPoint.contains(directory) ? mountPoint : nil
        }
    }

    func cgroups() -> [String] {
        Host.hierarchies.flatMap { Self.cgroups(named: token, below: $0.mountPoint, depth: 0) }
    }

    private static func cgroups(named token: String, below path: String, depth: Int) -> [String] {
        guard depth < 6 else { return [] }
        return entries(of: path).flatMap { name in
            let inner = "\(path)/\(name)"
            var status = stat()
            guard lstat(inner, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                return [String]()
            }
            return (name.contains(token) ? [inner] : [])
                + cgroups(named: token, below: inner, depth: depth + 1)
        }
    }

    func states() -> [String] {
        entries(of: "\(directory)/root").map { "\(directory)/root/\($0)" }
    }

    /// What is left, in words; processes on their way out get a moment.
    func found() -> [String] {
        _ = waits(2) { processes().isEmpty && cgroups().isEmpty }
        return processes().map { "process \($0.pid): \($0.text)" }
            + mounts().map { "mount \($0)" } + cgroups().map { "cgroup \($0)" }
            // The cache of filters stays with its store.
            + states().filter { !$0.contains("/@seccomp-") }.map { "state \($0)" }
    }

    /// Removes all of it, whatever it takes.
    func remove() {
        for process in processes() { kill(process.pid, SIGKILL) }
        // One that another program runs may hide its environment.
        for cgroup in cgroups() {
            for line in ((try? readText("\(cgroup)/cgroup.procs")) ?? "").lines {
                if let pid = pid_t(line) { kill(pid, SIGKILL) }
            }
        }
        for mount in mounts().reversed() { umount2(mount, CInt(MNT_DETACH)) }
        _ = waits(2) { processes().isEmpty }
        _ = waits(2) {
            for cgroup in cgroups().reversed() { rmdir(cgroup) }
            return cgroups().isEmpty
        }
        removeTree(directory)
    }
}
