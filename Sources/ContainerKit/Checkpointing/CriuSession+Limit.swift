// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

// The caller's limit for the time of a request to CRIU: what CRIU is doing when the time is over,
// and how its work is ended.
//
// A restore is simply killed: whatever it has made is removed. A dump is not. CRIU has stopped the
// container's processes then, has locked their network, and may have its own code in one of them;
// only CRIU can take that back. So it is made to fail, and then undoes its work by itself.

extension CriuRequestKind {
    /// Whether CRIU stops processes, which it must then let go of.
    var stopsProcesses: Bool { self == .dump || self == .preDump }

    /// What CRIU is doing after a notification, or before the first.
    fileprivate func activity(after script: String?) -> String {
        switch (self, script) {
        case (.version, _): "does not tell its version"
        case (.featureCheck, _): "does not tell what this kernel supports"
        case (.notify, _), (.restore, nil): "does not begin"
        case (.dump, nil), (.preDump, nil), (_, "pre-dump"): "freezes the processes"
        case (_, "network-lock"): "locks the network or writes the image"
        case (_, "network-unlock"): "undoes its work"
        case (.dump, "post-dump"), (_, "status-ready"): "waits until the pages are fetched"
        case (.dump, _), (.preDump, _): "writes the image"
        case (_, "pre-restore"): "makes the namespaces"
        case (_, "setup-namespaces"), (_, "post-setup-namespaces"): "makes the processes"
        case (_, "pre-resume"), (_, "post-resume"): "lets the processes go on"
        case (.restore, _): "completes the processes"
        }
    }
}

extension CriuSession {
    /// The error for a request that is not done in time: what CRIU is doing, the programs that it
    /// runs, and the last line of its log.
    func overdue(_ limit: TimeLimit, _ request: CriuRequestKind, _ log: CriuLog?)
        -> ContainerError
    {
        var text = "criu \(request.activity(after: lastScript))"
        let programs = CriuPrograms(of: pid).commands
        if !programs.isEmpty { text += ", and runs \(programs.joined(separator: ", "))" }
        if let line = log?.lastLine { text += "; its log ends with: \(line)" }
        return limit.passed(text + (log?.reference ?? ""))
    }

    /// Makes CRIU give up a dump, and waits until it has undone its work.
    ///
    /// What lets CRIU fail, in turn: it can write no more to its files, by RLIMIT_FSIZE; the
    /// programs that it runs are killed; its further notifications are refused; if it was stopped,
    /// it is continued. If it does not get on with all that, SIGALRM interrupts the call that it
    /// waits in, as CRIU's own option `timeout` does while it freezes. CRIU that hangs even then is
    /// killed, whereupon the kernel lets its processes go on.
    ///
    /// - Returns: CRIU's answer, if it has completed its work at the last moment.
    func breakOff(_ request: CriuRequestKind) -> CriuResponse? {
        try? setResourceLimit(
            pid: pid,
            PlannedLimit(
                name: "RLIMIT_FSIZE", resource: ResourceLimit.fileSize.rawValue, soft: 0, hard: 0))
        CriuPrograms(of: pid).kill()
        // Killed in the wrong moment, one that is stopped would take a process with it.
        try? sendSignal(processNumber, Signal.continue.rawValue)
        let patience = Deadline(secondsAhead: Self.undoSeconds)
        var before = Pace(of: pid)
        var blockedLooks = 0
        while patience.remainingMilliseconds > 0 {
            var entries = [PollEntry(socketNumber, .readable)]
            if ((try? poll(&entries, timeoutMilliseconds: Self.lookMilliseconds)) ?? 0) > 0 {
                // No message: CRIU has ended.
                guard let (response, descriptor) = try? receive() else { break }
                if descriptor >= 0 { _ = OwnedDescriptor(taking: descriptor) }
                guard response.kind == .notify, let script = response.script else {
                    return response.isSuccess && response.kind == request ? response : nil
                }
                refuse(script)
                blockedLooks = 0
                continue
            }
            let now = Pace(of: pid)
            defer { before = now }
            guard let now, now.isWaiting, now == before else { continue }
            blockedLooks += 1
            // The programs by which it undoes its work get more time: without them, the network of
            // the container stays locked.
            let grace = lastScript == "network-unlock" ? 30 : 0
            guard blockedLooks < grace + Self.lastBlockedLook else { break }
            try? sendSignal(processNumber, Signal.continue.rawValue)
            guard blockedLooks > grace else { continue }
            // CRIU has a handler for it before it stops the first process.
            try? sendSignal(processNumber, Signal.alarm.rawValue)
            CriuPrograms(of: pid).kill()
        }
        killAll()
        return nil
    }

    /// Kills CRIU and the programs that it runs: its work stays half-done.
    func killAll() {
        CriuPrograms(of: pid, killing: processNumber).kill()
    }

    /// How often CRIU is looked at.
    private static let lookMilliseconds = 100
    /// At how many looks CRIU may be found in one and the same wait.
    private static let lastBlockedLook = 4
    /// How long CRIU may take to undo its work if it gets on with it.
    private static let undoSeconds = 10

    /// Whether a process gets on: it does not if it waits, and has not run since the last look.
    private struct Pace: Equatable {
        let isWaiting: Bool
        /// How often it has waited or was interrupted; proc_pid_status(5).
        let switches: [String]

        init?(of pid: Int32) {
            guard let stat = try? stat(of: pid), let status = try? readFile("/proc/\(pid)/status")
            else { return nil }
            isWaiting = stat.state != "R"
            let words = words(of: status)
            switches = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"].map { name in
                words.firstIndex(of: name).flatMap { $0 + 1 < words.count ? words[$0 + 1] : nil }
                    ?? ""
            }
        }
    }
}

extension CriuLog {
    /// The last complete line of the log; nil if there is none.
    var lastLine: String? {
        guard let file = try? openFile(name, .readOnly | .noFollow | .nonBlocking, at: directory),
            let bytes = try? readTail(of: file.number, limitBytes: 1024)
        else { return nil }
        let line = bytes.split(separator: UInt8(ascii: "\n")).last
        return line.map { String(decoding: $0, as: UTF8.self).debugDescription }
    }
}
#endif
