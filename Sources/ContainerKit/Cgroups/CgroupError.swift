// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// The error when a cgroup cannot be made, changed or removed.
struct CgroupError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The field of config.json that required the operation, if one did.
    let field: JSONPath?
    /// The refused call, if the kernel refused one.
    let failure: SystemCallError?
    /// The error in words; empty if the refused call says everything.
    let message: String
    /// What to do about it, or what the kernel demands.
    let hint: String?

    init(
        field: JSONPath? = nil, failure: SystemCallError? = nil, message: String = "",
        hint: String? = nil
    ) {
        self.field = field
        self.failure = failure
        self.message = message
        self.hint = hint
    }

    /// One line: field, message, call and errno, as far as present.
    var description: String {
        var parts: [String] = []
        if let field { parts.append(field.description) }
        if !message.isEmpty { parts.append(message) }
        if let failure { parts.append(failure.description) }
        return parts.joined(separator: ": ")
    }
}

extension ContainerError {
    init(_ error: CgroupError) {
        self.init(
            .cgroup, error.message, field: error.field?.description, failure: error.failure,
            hint: error.hint)
    }
}

extension CgroupError: PartError {
    var reported: ContainerError { ContainerError(self) }
}
#endif
