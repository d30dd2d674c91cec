// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// The error of a `linux.seccomp` that cannot be compiled.
///
/// The description reads `linux.seccomp.syscalls[3].args[0]: ...`.
struct SeccompError: Error, Equatable, Sendable, CustomStringConvertible {
    enum Reason: Sendable {
        /// The profile is invalid.
        case invalid
        /// This libseccomp or kernel does not support what the profile uses.
        case unsupported
    }

    let reason: Reason
    /// The field of config.json.
    let field: JSONPath
    /// The error in words, with libseccomp's error if it refused something.
    let message: String

    init(_ reason: Reason, _ field: JSONPath, _ message: String) {
        self.reason = reason
        self.field = field
        self.message = message
    }

    var description: String { "\(field): \(message)" }
}

extension ContainerError {
    init(_ error: SeccompError) {
        let code: Code =
            switch error.reason {
            case .invalid: .invalidSpec
            case .unsupported: .unsupported
            }
        self.init(code, error.message, field: error.field.description)
    }
}

extension SeccompError: PartError {
    var reported: ContainerError { ContainerError(self) }
}
#endif
