// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

/// Traces of a test that must not be left on the machine.
///
/// Everything that belongs to a test is found by its token, a word in the names of its directory,
/// containers and cgroups and in the environment of its processes.
struct Leftovers {
    static let variable = "SWRUNC_TEST"

    let token: String
    let directory: String

    /// Live processes with the token in their environment or the directory in their arguments.
    ///
    /// Processes that were born empty have neither: their cgroup or progress page shows to which
    /// test they belong.
    func processes() -> [(pid: pid_t, text: String)] {
        names(in: "/proc").compactMap { name in
            guard let pid = pid_t(name), pid != getpid() else { return nil }
            let arguments = contents("/proc/\(pid)/cmdline")
            guard
                contents("/proc/\(pid)/environ").has("\(Self.variable)=\(token)")
                    || arguments.has(directory) || isBornEmpty(pid)
            else { return nil }
            return (
                pid, String(decoding: arguments, as: UTF8.self).replacing("\0", with: " ")
            )
        }
    }

    private func isBornEmpty(_ pid: pid_t) -> Bool {
        guard readLink("/proc/\(pid)/exe").hasPrefix("/memfd:init") else { return false }
        return ["cgroup", "maps"].contains { contents("/proc/\(pid)/\($0)").has(token) }
    }

    /// A file's bytes; none if it cannot be read.
    private func contents(_ path: String) -> [UInt8] { (try? readBytes(path)) ?? [] }

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
        var status = stat()
        // Apart from its own and its parent's entry, each subdirectory is a link to it. Most have
        // none, but sixty files, and every test looks.
        guard depth < 6, lstat(path, &status) == 0, status.st_nlink > 2 else { return [] }
        return names(in: path, directoriesOnly: true).flatMap { name in
            let inner = "\(path)/\(name)"
            return (name.contains(token) ? [inner] : [])
                + cgroups(named: token, below: inner, depth: depth + 1)
        }
    }

    func states() -> [String] {
        entries(of: "\(directory)/root").map { "\(directory)/root/\($0)" }
    }

    /// The leftovers as text; ending processes get a moment.
    func found() -> [String] {
        var processes = processes()
        var cgroups = cgroups()
        _ = waits(2) {
            if processes.isEmpty && cgroups.isEmpty { return true }
            processes = self.processes()
            cgroups = self.cgroups()
            return false
        }
        return processes.map { "process \($0.pid): \($0.text)" }
            + mounts().map { "mount \($0)" } + cgroups.map { "cgroup \($0)" }
            // The cache of filters remains in its store.
            + states().filter { !$0.contains("/@seccomp-") }.map { "state \($0)" }
    }

    /// Removes all leftovers by any means.
    func remove() {
        for process in processes() { kill(process.pid, SIGKILL) }
        // A process that another program runs may hide its environment.
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

extension [UInt8] {
    /// Whether the bytes, as strings, contain a text; faster than a search by characters.
    fileprivate func has(_ text: String) -> Bool {
        (self + [0]).withUnsafeBytes { bytes in
            guard var string = bytes.bindMemory(to: CChar.self).baseAddress else { return false }
            let end = string + bytes.count
            while string < end {
                if strstr(string, text) != nil { return true }
                string += strlen(string) + 1
            }
            return false
        }
    }
}
