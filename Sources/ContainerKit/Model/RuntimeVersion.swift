// SPDX-License-Identifier: Apache-2.0

internal import BuildCommit
internal import RuntimeSpec

/// The versions that `swrunc --version` and the features document tell.
public enum RuntimeVersion {
    /// The version of this runtime, as SemVer.
    public static let string = "0.1.0"

    /// The commit that this runtime was built from; empty where the build does not tell.
    ///
    /// With `-dirty` at its end the sources were changed after it.
    public static var commit: String { String(cString: build_commit()) }

    /// The version of the OCI runtime specification that is followed.
    public static let specVersion = Spec.modeledVersion
}
