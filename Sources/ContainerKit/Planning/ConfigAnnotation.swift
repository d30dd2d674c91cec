// SPDX-License-Identifier: Apache-2.0

/// The annotations of a config that change what the runtime does.
///
/// Those that begin with `run.oci.` are crun's; who lets others choose annotations must know of all
/// (`potentiallyUnsafeConfigAnnotations` of the features document).
enum ConfigAnnotation {
    /// A file that the output of hooks is appended to.
    static let hookOutput = "run.oci.hooks.stdout"
    /// A file that the errors of hooks are appended to.
    static let hookErrors = "run.oci.hooks.stderr"
    /// With the name of a property behind it: a property of the systemd scope.
    static let systemdProperty = "org.systemd.property."

    /// All, sorted; one that ends in a dot is a prefix.
    static var all: [String] { [systemdProperty, hookErrors, hookOutput].sorted() }
}
