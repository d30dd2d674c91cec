// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
package import ByteText

/// A point of a container's lifecycle at which hooks run.
///
/// The raw value is the name of the list in `hooks`. Spec: config.md, POSIX-platform Hooks.
package enum HookPoint: String, CaseIterable, Sendable {
    /// In create, run by the runtime; deprecated.
    case prestart
    /// In create, run by the runtime.
    case createRuntime
    /// In create, run by init before it enters the root.
    case createContainer
    /// In start, run by init before it becomes the user's process.
    case startContainer
    /// In start, run by the runtime once the user's process runs.
    case poststart
    /// In delete, run by the runtime.
    case poststop
}

/// One hook of the config, ready to run.
package struct PlannedHook: Equatable, Sendable {
    /// The list that the hook is in.
    package let point: HookPoint
    /// The hook's index in the list.
    package let index: Int
    /// The program, an absolute path.
    package let path: String
    /// All arguments, the name of the program first.
    package let arguments: [ByteText]
    /// The whole environment; nil inherits the one of the process that runs the hook.
    package let environment: [ByteText]?
    /// The number of seconds after which the hook fails; nil means never.
    package let timeoutSeconds: Int?

    /// A hook with its place in the config.
    package init(
        _ point: HookPoint, _ index: Int, path: String, arguments: [ByteText],
        environment: [ByteText]? = nil, timeoutSeconds: Int? = nil
    ) {
        self.point = point
        self.index = index
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.timeoutSeconds = timeoutSeconds
    }

    /// The JSON path, such as `hooks.prestart[0]`.
    package var field: String { "hooks.\(point.rawValue)[\(index)]" }

    /// The text of an error; runc's, which tests and people search for.
    package var failureText: String { "error running \(point.rawValue) hook #\(index)" }
}

/// The report of init on a hook that has ended: the first bytes of waitid(2)'s `siginfo_t`.
package enum HookReport {
    /// The message's size.
    package static let sizeBytes = 32
    /// The offset of `si_code`: 1 (CLD_EXITED), or a code for an end by signal.
    package static let codeOffset = 8
    /// The offset of `si_status`: the exit status, or the signal.
    package static let statusOffset = 24
}
#endif
