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
    ///   - process: CRIU's descriptor, if it shall be killed; then `kill` must follow. All are stopped
    ///     before their children are looked up: one that runs could start another program after it.
    init(of criu: Int32, killing process: CInt? = nil) {
        var pids: [Int32] = []
        var processes: [CInt] = []
        var parents = [(pid: criu, process: process)]
        while let parent = parents.popLast(), pids.count < Self.limit {
            if process != nil, let opened = parent.process { Self.stop(parent.pid, opened) }
            for child in childIDs(of: parent.pid) {
                // Once it is open, its number is its own; so then it is asked for its parent.
                guard let opened = try? openProcess(child) else { continue }
                guard let stat = try? stat(of: child), stat.parent == parent.pid else { continue }
                let number = opened.release()
                pids.append(child)
                processes.append(number)
                parents.append((child, number))
            }
            // At once: if this program is killed, nobody lets a stopped CRIU go on.
            if parent.pid == criu, let process {
                try? sendSignal(process, Signal.kill.rawValue)
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

    /// Stops a process, and waits until it makes no further call: at most a tenth of a second, which
    /// a process whose call cannot be interrupted may exceed.
    private static func stop(_ pid: Int32, _ process: CInt) {
        do {
            try sendSignal(process, Signal.stop.rawValue)
            for _ in 0..<100 {
                guard let state = try stat(of: pid)?.state, ["R", "S", "D"].contains(state)
                else { return }
                wait(milliseconds: 1)
            }
        } catch {
            // It has ended.
        }
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
