// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

/// The output of `--version`; engines split it at "version", and look for "commit: " and "spec: ".
enum VersionText {
    static func of(program: String) -> String {
        var text = "\(program) version \(RuntimeVersion.string)\n"
        if !RuntimeVersion.commit.isEmpty { text += "commit: \(RuntimeVersion.commit)\n" }
        return text + "spec: \(RuntimeVersion.specVersion)\n"
            + "libseccomp: \(RuntimeVersion.libseccompVersion)\n"
    }
}
