// SPDX-License-Identifier: Apache-2.0

/// The rules of seccomp profiles.
let seccompRules: [Rule<Spec>] = [
    checkSeccompErrors, checkSeccompListener, checkSeccompNotification, checkSeccompRules,
]

private let section = "config-linux.md, Seccomp"

/// An error number is set only for an action that returns one.
///
/// Spec: config-linux.md, Seccomp.
func checkSeccompErrors(_ spec: Spec, _ found: inout [SpecError]) {
    guard let seccomp = spec.linux?.seccomp else { return }
    checkErrorNumber(
        seccomp.defaultErrnoRet, seccomp.defaultAction, at: "linux.seccomp.defaultErrnoRet",
        &found)
    for (index, rule) in (seccomp.syscalls ?? []).enumerated() {
        checkErrorNumber(
            rule.errnoRet, rule.action, at: "linux.seccomp.syscalls[\(index)].errnoRet", &found)
    }
}

private func checkErrorNumber(
    _ number: UInt?, _ action: Seccomp.Action, at path: @autoclosure () -> JSONPath,
    _ found: inout [SpecError]
) {
    guard let number else { return }
    if action != .errno, action != .trace {
        let message = "the action \(action.rawValue) returns no error"
        found.append(SpecError(path(), message, section: section))
    }
    // The filter's return value has 16 bits for the error number.
    if number > 65535 {
        let message = "\(number) is out of range (0...65535)"
        found.append(SpecError(path(), message, section: section))
    }
}

/// The action notify needs a listener path, and so does listener metadata.
///
/// Spec: config-linux.md, Seccomp.
func checkSeccompListener(_ spec: Spec, _ found: inout [SpecError]) {
    guard let seccomp = spec.linux?.seccomp, (seccomp.listenerPath ?? "").isEmpty else { return }
    let notifies =
        seccomp.defaultAction == .notify
        || (seccomp.syscalls ?? []).contains { $0.action == .notify }
    if notifies {
        let message = "must not be empty for SCMP_ACT_NOTIFY"
        found.append(SpecError("linux.seccomp.listenerPath", message, section: section))
    }
    if seccomp.listenerMetadata?.isEmpty == false {
        let message = "needs linux.seccomp.listenerPath"
        found.append(SpecError("linux.seccomp.listenerMetadata", message, section: section))
    }
}

/// The action notify is refused for `write`: the runtime itself needs it to hand over the listener.
///
/// The messages are runc's.
func checkSeccompNotification(_ spec: Spec, _ found: inout [SpecError]) {
    guard let seccomp = spec.linux?.seccomp else { return }
    if seccomp.defaultAction == .notify {
        let message = "SCMP_ACT_NOTIFY cannot be used as default action"
        found.append(SpecError("linux.seccomp.defaultAction", message, section: section))
    }
    for (index, rule) in (seccomp.syscalls ?? []).enumerated() where rule.action == .notify {
        guard let position = rule.names.firstIndex(of: "write") else { continue }
        let path: JSONPath = "linux.seccomp.syscalls[\(index)].names[\(position)]"
        let message = "SCMP_ACT_NOTIFY cannot be used for the write syscall"
        found.append(SpecError(path, message, section: section))
    }
}

/// A rule names at least one call, and argument indices exist.
///
/// Spec: config-linux.md, Seccomp.
func checkSeccompRules(_ spec: Spec, _ found: inout [SpecError]) {
    for (index, rule) in (spec.linux?.seccomp?.syscalls ?? []).enumerated() {
        if rule.names.isEmpty {
            let path: JSONPath = "linux.seccomp.syscalls[\(index)].names"
            found.append(SpecError(path, "must not be empty", section: section))
        }
        for (position, argument) in (rule.args ?? []).enumerated() where argument.index > 5 {
            let path: JSONPath = "linux.seccomp.syscalls[\(index)].args[\(position)].index"
            let message = "\(argument.index) is out of range (0...5)"
            found.append(SpecError(path, message, section: section))
        }
    }
}
