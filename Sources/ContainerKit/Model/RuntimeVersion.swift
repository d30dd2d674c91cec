// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import BuildCommit
internal import RuntimeSpec

/// The versions in the output of `swrunc --version` and in the features document.
public enum RuntimeVersion {
    /// The version of this runtime, as SemVer.
    public static let string = "0.2.0"

    /// The commit that this runtime was built from; empty if the build did not set it.
    ///
    /// It ends in `-dirty` if the sources had uncommitted changes.
    public static var commit: String { String(cString: build_commit()) }

    /// The version of the OCI runtime specification that this runtime implements.
    public static let specVersion = Spec.modeledVersion
}
#endif
