// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

/// The processes that CRIU has made, such as iptables-restore and tar, with their descendants.
///
/// The processes of a dumped container are not among them: CRIU is their tracer, not their parent.
struct CriuPrograms: ~Copyable {
    private let pids: [Int32]
    private let processes: [CInt]

    /// - Parameters:
    ///   - criu: CRIU's pid.
    ///   - process: CRIU's descriptor, if all shall be stopped first. They must be killed then; one
    ///     that runs could start another program between this look and the kill.
    init(of criu: Int32, stopping process: CInt? = nil) {
        var pids: [Int32] = []
        var processes: [CInt] = []
        var parents = [criu]
        let stops = process != nil
        if let process { Self.stop(criu, process) }
        while let parent = parents.popLast(), pids.count < Self.limit {
            for child in Self.children(of: parent) {
                // Once it is open, its number is its own; so then it is asked for its parent.
                guard let process = try? openProcess(child) else { continue }
                guard let stat = try? stat(of: child), stat.parent == parent else { continue }
                if stops { Self.stop(child, process.number) }
                pids.append(child)
                processes.append(process.release())
                parents.append(child)
            }
        }
        self.pids = pids
        self.processes = processes
    }

    deinit {
        for process in processes { _ = OwnedDescriptor(taking: process) }
    }

    /// More than CRIU ever runs.
    private static let limit = 1000

    /// Stops a process, and waits until it makes no further call: at most a tenth of a second.
    private static func stop(_ pid: Int32, _ process: CInt) {
        do {
            try sendSignal(process, Signal.stop.rawValue)
            for _ in 0..<100 {
                guard let state = try stat(of: pid)?.state, state == "R" || state == "S" else {
                    return
                }
                wait(milliseconds: 1)
            }
        } catch {
            // It has ended.
        }
    }

    private static func children(of pid: Int32) -> [Int32] {
        guard let text = try? readFile("/proc/\(pid)/task/\(pid)/children") else { return [] }
        return words(of: text).compactMap { Int32($0) }
    }

    func kill() {
        for process in processes { try? sendSignal(process, Signal.kill.rawValue) }
    }

    /// The command lines of those that run another program than CRIU, shortened.
    var commands: [String] {
        pids.compactMap { pid in
            guard (try? stat(of: pid))?.hasExecuted == true,
                let line = try? readFile("/proc/\(pid)/cmdline", limitBytes: 1 << 20)
            else { return nil }
            let words = line.split(separator: 0).prefix(4).map {
                String(decoding: $0.prefix(60), as: UTF8.self)
            }
            return words.isEmpty ? nil : words.joined(separator: " ").debugDescription
        }
    }
}
#endif
