// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec
internal import SystemPackage

/// An error, for programs (`code`) and for people (`description`, `hint`).
public struct ContainerError: Error, Sendable, CustomStringConvertible {
    /// The kind of error; new kinds may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The stable name, which is also in the JSON log.
        public let description: String

        private init(_ name: String) {
            description = name
        }

        /// The config breaks a rule of the spec, or cannot be read.
        public static let invalidSpec = Code("invalidSpec")
        /// An argument of the call is wrong.
        public static let invalidArgument = Code("invalidArgument")
        /// The request is valid, but not supported.
        public static let unsupported = Code("unsupported")
        /// The ID is empty or contains forbidden characters.
        public static let invalidID = Code("invalidID")
        /// A container with this ID exists.
        public static let alreadyExists = Code("alreadyExists")
        /// No container with this ID exists.
        public static let notFound = Code("notFound")
        /// The container's process has ended.
        public static let notRunning = Code("notRunning")
        /// The operation is not possible in the container's state.
        public static let wrongState = Code("wrongState")
        /// A step of the init process failed.
        public static let initFailed = Code("initFailed")
        /// A hook could not be run, timed out or failed.
        public static let hookFailed = Code("hookFailed")
        /// `process.args[0]` cannot be executed.
        public static let executableNotFound = Code("executableNotFound")
        /// A system call of the runtime failed.
        public static let systemCall = Code("systemCall")
        /// A cgroup could not be made, changed or removed.
        public static let cgroup = Code("cgroup")
        /// What was asked for existed, and is gone.
        public static let unavailable = Code("unavailable")
        /// The caller's time limit has passed.
        public static let timedOut = Code("timedOut")
        /// CRIU is missing or too old, or could not make or restore a checkpoint.
        public static let criu = Code("criu")
        /// The state directory is damaged, or of an unknown version.
        public static let state = Code("state")
    }

    /// The kind of error.
    public let code: Code
    /// The error in words; may be empty if the call says everything.
    public let message: String
    /// The config field as a JSON path, such as `linux.maskedPaths[3]`.
    public let field: String?
    /// The name of the list element that `field` leads into, such as the destination of a mount.
    public let subject: String?
    /// The refused system call.
    public let failure: SystemCallError?
    /// What to do about the error.
    public let hint: String?
    /// More about the reason, for people.
    public let detail: String?

    /// Makes an error from its parts.
    public init(
        _ code: Code, _ message: String, field: String? = nil, subject: String? = nil,
        failure: SystemCallError? = nil, hint: String? = nil, detail: String? = nil
    ) {
        self.detail = detail
        self.code = code
        self.message = message
        self.field = field
        self.subject = subject
        self.failure = failure
        // If a seccomp filter has refused the call, the kernel's usual reasons do not apply.
        self.hint =
            failure.flatMap { OuterFilter.hint(for: $0) } ?? hint
            ?? (failure?.errno == .tooManyOpenFiles ? Self.openFilesHint : nil)
    }

    /// Field, message, detail and call on one line, as far as present.
    public var description: String {
        var parts: [String] = []
        if let field { parts.append(SpecError.place(field, subject, before: message)) }
        if !message.isEmpty { parts.append(message + (detail.map { " (\($0))" } ?? "")) }
        if let failure { parts.append(failure.description) }
        return parts.joined(separator: ": ")
    }
}

extension ContainerError {
    /// This error with the name of the list element it concerns, taken from `spec`.
    ///
    /// The error of a hook has its own text, which is runc's and already has the hook's index.
    func naming(_ spec: Spec) -> ContainerError {
        guard subject == nil, code != .hookFailed, let field,
            let name = spec.subject(at: JSONPath(stringLiteral: field))
        else { return self }
        return ContainerError(
            code, message, field: field, subject: name, failure: failure, hint: hint,
            detail: detail)
    }

    init(_ error: SpecError) {
        self.init(
            .invalidSpec, error.message, field: error.path.description, subject: error.subject)
    }

    init(_ errors: SpecErrors) {
        self.init(.invalidSpec, errors.description)
    }

    /// A hint why procfs may hide an existing process.
    static func hiddenProcessHint(_ error: SystemCallError) -> String? {
        error.errno == .noSuchFileOrDirectory
            ? "is /proc mounted, without hidepid for the user who runs this?" : nil
    }

    /// What to do about EMFILE.
    package static let openFilesHint =
        "this process has as many files open as it may: raise RLIMIT_NOFILE (ulimit -n), or have "
        + "fewer containers at once"

    static let fileSizeHint =
        "the limit of the size of files is too low: raise RLIMIT_FSIZE (ulimit -f)"

    init(
        _ failure: SystemCallError, _ message: String = "", field: String? = nil,
        hint: String? = nil
    ) {
        var hint = hint
        if hint == nil, failure.errno == .fileTooLarge { hint = Self.fileSizeHint }
        self.init(.systemCall, message, field: field, failure: failure, hint: hint)
    }
}

/// An error of a part of the library, which is turned into a public error.
protocol PartError: Error {
    /// The public error.
    var reported: ContainerError { get }
}

extension SpecError: PartError {
    var reported: ContainerError { ContainerError(self) }
}

extension SpecErrors: PartError {
    var reported: ContainerError { ContainerError(self) }
}

/// Calls `body`, and turns a part's error into the public one.
@inline(__always)
func reporting<Failure: PartError, Result: ~Copyable>(
    _ body: () throws(Failure) -> Result
) throws(ContainerError) -> Result {
    do throws(Failure) {
        return try body()
    } catch {
        throw error.reported
    }
}

/// Calls `body`, and turns a refused call into the public error.
func reporting<Result: ~Copyable>(
    _ message: @autoclosure () -> String = "", field: String? = nil,
    _ body: () throws(SystemCallError) -> Result
) throws(ContainerError) -> Result {
    do {
        return try body()
    } catch {
        throw ContainerError(error, message(), field: field)
    }
}

extension ContainerError {
    /// The same error with another hint.
    func with(hint: String) -> ContainerError {
        ContainerError(
            code, message, field: field, subject: subject, failure: failure, hint: hint,
            detail: detail)
    }
}
#endif
