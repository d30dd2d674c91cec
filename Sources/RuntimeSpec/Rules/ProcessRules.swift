// SPDX-License-Identifier: Apache-2.0

internal import ByteText

/// The rules of a process, of a container or of exec.
let processRules: [Rule<Process>] = [
    checkArguments, checkWorkingDirectory, checkEnvironment, checkConsoleSize, checkUserIDs,
    checkUmask, checkEffectiveCapabilities, checkRlimits, checkOOMScoreAdjustment, checkScheduler,
    checkIOPriority, checkCPUAffinity,
]

/// What is allowed for a process, but likely not meant.
let processWarnings: [Rule<Process>] = [
    warnOfUnknownCapabilities, warnOfLostAmbientCapabilities,
]

/// There is a program to run.
///
/// Spec: config.md, Process.
func checkArguments(_ process: Process, _ found: inout [SpecError]) {
    if (process.argBytes ?? []).isEmpty {
        found.append(
            SpecError("process.args", "must not be empty", section: "config.md, Process"))
    }
}

/// The working directory is an absolute path.
///
/// Spec: config.md, Process.
func checkWorkingDirectory(_ process: Process, _ found: inout [SpecError]) {
    checkLength(process.cwd, "process.cwd", "config.md, Process", &found)
    guard !process.cwd.isAbsolutePath else { return }
    let message =
        process.cwd.isEmpty
        ? "must not be empty" : "\(quoted(process.cwd)) is not an absolute path"
    found.append(SpecError("process.cwd", message, section: "config.md, Process"))
}

/// Adds a violation for a path that is too long for the kernel.
///
/// Kernel: PATH_MAX, 4096 bytes with the NUL at the end.
func checkLength(
    _ path: String, _ field: @autoclosure () -> JSONPath, _ section: String,
    _ found: inout [SpecError]
) {
    guard path.utf8.count >= 4096 else { return }
    found.append(SpecError(field(), "is longer than 4095 bytes", section: section))
}

/// Each variable has a name and a value.
///
/// Spec: config.md, Process.
func checkEnvironment(_ process: Process, _ found: inout [SpecError]) {
    checkVariables(process.envBytes, "process.env", "config.md, Process", &found)
}

/// Adds a violation for every element of an environment that is not `NAME=value`.
func checkVariables(
    _ environment: [ByteText]?, _ path: JSONPath, _ section: String, _ found: inout [SpecError]
) {
    for (index, variable) in (environment ?? []).enumerated() {
        let equals = variable.bytes.firstIndex(of: UInt8(ascii: "="))
        if equals == nil || equals == 0 {
            let message = "\(quoted(variable.description)) is not NAME=value"
            found.append(SpecError(path.appending(index: index), message, section: section))
        }
    }
}

/// The console size fits the kernel's 16-bit fields.
///
/// Kernel: ioctl_tty(2), `struct winsize`.
func checkConsoleSize(_ process: Process, _ found: inout [SpecError]) {
    guard let size = process.consoleSize else { return }
    for (name, value) in [("height", size.height), ("width", size.width)] where value > 65535 {
        found.append(
            SpecError(
                "process.consoleSize.\(name)", "\(value) is out of range (0...65535)",
                section: "config.md, Process"))
    }
}

/// The IDs are valid, and there are no more groups than the kernel takes.
///
/// Spec: config.md, User. Kernel: setuid(2), where -1 is no ID; setgroups(2), NGROUPS_MAX.
func checkUserIDs(_ process: Process, _ found: inout [SpecError]) {
    let section = "config.md, User"
    func check(_ id: UInt32, _ path: @autoclosure () -> JSONPath) {
        guard id == .max else { return }
        let message = "\(id) is no id: to the kernel it is -1, and the last one is \(id - 1)"
        found.append(SpecError(path(), message, section: section))
    }
    check(process.user.uid, "process.user.uid")
    check(process.user.gid, "process.user.gid")
    let groups = process.user.additionalGids ?? []
    for (index, group) in groups.enumerated() {
        check(group, "process.user.additionalGids[\(index)]")
    }
    if groups.count > 65536 {
        let message = "has \(groups.count) groups, and the kernel takes no more than 65536"
        found.append(SpecError("process.user.additionalGids", message, section: section))
    }
}

/// The umask has permission bits only.
///
/// Spec: config.md, User.
func checkUmask(_ process: Process, _ found: inout [SpecError]) {
    if let umask = process.user.umask, umask > 0o7777 {
        found.append(
            SpecError(
                "process.user.umask", "\(umask) is out of range (0...4095)",
                section: "config.md, User"))
    }
}

/// Resource limits are known and listed once, and no soft limit exceeds its hard limit.
///
/// Spec: config.md, POSIX process. Kernel: getrlimit(2).
func checkRlimits(_ process: Process, _ found: inout [SpecError]) {
    let section = "config.md, POSIX process"
    // A bit for each resource.
    var seen: UInt32 = 0
    for (index, rlimit) in (process.rlimits ?? []).enumerated() {
        let path: JSONPath = "process.rlimits[\(index)]"
        if let number = rlimit.resourceNumber {
            if seen & 1 << number != 0 {
                let message = "\(quoted(rlimit.type)) is listed twice"
                found.append(SpecError(path.appending(key: "type"), message, section: section))
            }
            seen |= 1 << number
        } else {
            let message = "\(quoted(rlimit.type)) is not a resource limit of Linux"
            found.append(SpecError(path.appending(key: "type"), message, section: section))
        }
        if rlimit.soft > rlimit.hard {
            let message = "the soft limit \(rlimit.soft) is above the hard limit \(rlimit.hard)"
            found.append(SpecError(path, message, section: section))
        }
    }
}

/// The OOM score adjustment is in the kernel's range.
///
/// Spec: config.md, Linux Process.
func checkOOMScoreAdjustment(_ process: Process, _ found: inout [SpecError]) {
    if let adjustment = process.oomScoreAdj, !(-1000...1000).contains(adjustment) {
        found.append(
            SpecError(
                "process.oomScoreAdj", "\(adjustment) is out of range (-1000...1000)",
                section: "config.md, Linux Process"))
    }
}

/// The scheduling attributes suit the policy.
///
/// Spec: config.md, Linux Process. Kernel: sched_setattr(2).
func checkScheduler(_ process: Process, _ found: inout [SpecError]) {
    guard let scheduler = process.scheduler else { return }
    let section = "config.md, Linux Process"
    if !(-20...19).contains(scheduler.nice) {
        let message = "\(scheduler.nice) is out of range (-20...19)"
        found.append(SpecError("process.scheduler.nice", message, section: section))
    }
    let isRealTime = scheduler.policy == .fifo || scheduler.policy == .roundRobin
    if scheduler.priority != 0, !isRealTime {
        let message = "needs the policy SCHED_FIFO or SCHED_RR"
        found.append(SpecError("process.scheduler.priority", message, section: section))
    }
    let hasTimes = scheduler.runtime != 0 || scheduler.deadline != 0 || scheduler.period != 0
    if hasTimes, scheduler.policy != .deadline {
        let message = "runtime, deadline and period need the policy SCHED_DEADLINE"
        found.append(SpecError("process.scheduler", message, section: section))
    }
}

/// The I/O priority is in the range 0 to 7.
///
/// Kernel: ioprio_set(2).
func checkIOPriority(_ process: Process, _ found: inout [SpecError]) {
    if let priority = process.ioPriority?.priority, !(0...7).contains(priority) {
        found.append(
            SpecError(
                "process.ioPriority.priority", "\(priority) is out of range (0...7)",
                section: "config.md, Linux Process"))
    }
}

/// The CPUs are written as a list such as `0-3,7`.
///
/// Spec: config.md, Linux Process.
func checkCPUAffinity(_ process: Process, _ found: inout [SpecError]) {
    guard let affinity = process.execCPUAffinity else { return }
    for (name, list) in [("initial", affinity.initial), ("final", affinity.final)] {
        guard let list, !list.isEmpty, !isNumberList(list) else { continue }
        found.append(
            SpecError(
                "process.execCPUAffinity.\(name)",
                "\(quoted(list)) is not a list of CPUs such as 0-3,7",
                section: "config.md, Linux Process"))
    }
}

/// Whether `text` consists of numbers and ascending ranges separated by commas.
///
/// Kernel: cpuset(7), List format.
func isNumberList(_ text: String) -> Bool {
    text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { item in
        let ends = item.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = ends.compactMap { $0.utf8.first == UInt8(ascii: "+") ? nil : UInt16($0) }
        return numbers.count == ends.count && numbers[0] <= numbers[numbers.count - 1]
    }
}

extension Capabilities {
    fileprivate var sets: InlineArray<5, [String]> {
        [bounding ?? [], effective ?? [], inheritable ?? [], permitted ?? [], ambient ?? []]
    }
}

/// Effective capabilities are also permitted: capset(2) refuses anything else.
///
/// Kernel: capabilities(7), capset(2).
func checkEffectiveCapabilities(_ process: Process, _ found: inout [SpecError]) {
    guard let capabilities = process.capabilities else { return }
    let permitted = (capabilities.permitted ?? []).compactMap { Capability(name: $0)?.number }
    for (index, name) in (capabilities.effective ?? []).enumerated() {
        guard let number = Capability(name: name)?.number, !permitted.contains(number) else {
            continue
        }
        found.append(
            SpecError(
                "process.capabilities.effective[\(index)]",
                "\(name) is not in process.capabilities.permitted",
                section: "config.md, Linux Process"))
    }
}

/// Warns of capabilities that Linux does not know; they are left out.
///
/// One warning for all of them, in runc's words. Spec: config.md, Linux Process.
func warnOfUnknownCapabilities(_ process: Process, _ found: inout [SpecError]) {
    guard let sets = process.capabilities?.sets else { return }
    var unknown: Set<String> = []
    for index in sets.indices {
        for name in sets[index] where Capability(name: name) == nil { unknown.insert(name) }
    }
    guard !unknown.isEmpty else { return }
    let names = unknown.sorted().map { Printable.text($0) }.joined(separator: " ")
    found.append(
        SpecError(
            "process.capabilities", "ignoring unknown or unavailable capabilities: [\(names)]",
            section: "config.md, Linux Process"))
}

/// Warns of ambient capabilities that are not both permitted and inheritable, and so are lost.
///
/// One warning for all; its first words are runc's. Kernel: capabilities(7).
func warnOfLostAmbientCapabilities(_ process: Process, _ found: inout [SpecError]) {
    guard let capabilities = process.capabilities, let ambient = capabilities.ambient,
        !ambient.isEmpty
    else { return }
    let kept = Set(capabilities.permitted ?? []).intersection(capabilities.inheritable ?? [])
    let lost = Set(ambient).subtracting(kept)
        .filter { Capability(name: $0) != nil }
    guard !lost.isEmpty else { return }
    let names = lost.sorted().joined(separator: ", ")
    found.append(
        SpecError(
            "process.capabilities.ambient",
            "can't raise ambient capability \(names): not both permitted and inheritable",
            section: "config.md, Linux Process"))
}
