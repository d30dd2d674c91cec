// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

/// Runs tests of this binary again, in a process under other conditions: in a namespace, or traced.
enum InnerRun {
    private static let variable = "SWRUNC_INNER_RUN"

    /// The condition of this process, if it is such a run.
    static let standing: String? = Host.environmentVariable(variable)

    /// For tests that start an inner run and so must not run inside one.
    static let outermost: ConditionTrait = .enabled(if: standing == nil, "in an inner run already")

    static let strace = "/usr/bin/strace"
    static let traced: ConditionTrait = .enabled(
        if: access(strace, X_OK) == 0, "needs \(strace)")

    /// The beginning of a command line that runs another command in a new pid namespace with its
    /// own /proc, after the lines of a script.
    ///
    /// The shell stays as the process that adopts orphans.
    static func inPidNamespace(_ script: String) -> [String] {
        [
            "/usr/bin/unshare", "-pf", "--mount-proc", "/bin/sh", "-c",
            "\(script)\n\"$@\"\nexit $?", "sh",
        ]
    }

    /// Runs the matching tests, and expects at least `count` of them to succeed.
    ///
    /// - Returns: the lines of both outputs.
    @discardableResult
    static func expectSuccess(
        _ standing: String, _ words: [String], filter: String, count: Int, seconds: Double = 200,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> [String] {
        var options = CommandOptions()
        options.timeLimitSeconds = seconds * Double(Host.slowness)
        options.environment = [variable: standing, "SWRUNC": Host.runtime]
        if let path = Host.environmentVariable("LD_LIBRARY_PATH") {
            options.environment["LD_LIBRARY_PATH"] = path
        }
        let binary = readLink("/proc/self/exe")
        let call = words + [binary, "--testing-library", "swift-testing", "--filter", filter]
        let done = try RunningCommand(call, options, token: "none").wait()
        let lines = done.output.lines + done.error.lines
        let failures = lines.filter { $0.contains("✘") }.joined(separator: "\n")
        // A debugger may succeed when its program fails.
        #expect(
            done.status == 0 && failures.isEmpty,
            "\(failures.isEmpty ? done.description : failures)",
            sourceLocation: sourceLocation)
        // A run whose filter matches nothing succeeds, too.
        let total = lines.compactMap { $0.firstMatch(of: /Test run with (\d+) tests?/)?.1 }
        #expect(
            total.compactMap { Int($0) }.max() ?? 0 >= count, "\(done)",
            sourceLocation: sourceLocation)
        return lines
    }
}
