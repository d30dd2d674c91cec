// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
package import ByteText
internal import KernelVocabulary
internal import SystemPackage

/// Steps that turn this process into the user's program.
package enum ExecutionStep: ChildStep {
    /// Changes into the working directory, if the present user may; otherwise `enterDirectory`
    /// tries again as the process's user.
    case tryDirectory(String)
    /// Changes into the working directory, unless `tryDirectory` did.
    case enterDirectory(String)
    /// Looks for the program, so that a missing one is reported at create.
    case findExecutable(name: ByteText, candidates: [ByteText])
    /// Replaces this program by the user's.
    case execute(candidates: [ByteText], arguments: [ByteText], environment: [ByteText])
}

extension ExecutionStep {
    package var sentence: String {
        switch self {
        case .tryDirectory(let path): "enter \(path), if root may"
        case .enterDirectory(let path): "enter \(path)"
        case .findExecutable(let name, _): "find the program \"\(name)\""
        case .execute(_, let arguments, _):
            "execute " + arguments.map { "\"\($0)\"" }.joined(separator: " ")
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .tryDirectory, .enterDirectory, .findExecutable, .execute: []
        }
    }

    package var exchanges: [Exchange] {
        switch self {
        case .execute: [.sends(.execution)]
        case .tryDirectory, .enterDirectory, .findExecutable: []
        }
    }

    package var usesRoot: Bool {
        switch self {
        case .tryDirectory, .enterDirectory: true
        case .findExecutable, .execute: false
        }
    }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .tryDirectory(let path): state.triedDirectory = code.tryDirectory(path, state.root)
        case .enterDirectory(let path): code.enterDirectory(path, state.root, state.triedDirectory)
        case .findExecutable(let name, let candidates):
            state.executableChecks = code.findExecutable(name, candidates)
        case .execute(let candidates, let arguments, let environment):
            code.execute(candidates, arguments, environment, state.executableChecks)
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        refusal.mountHint
    }
}

extension Assembler {
    /// Changes to a descriptor resolved inside the root, so a rename race or a leaked descriptor
    /// cannot lead the path outside (CVE-2024-21626).
    fileprivate mutating func enterDirectory(_ path: String, _ root: Cell, _ tried: Cell?) {
        let isEntered = tried.map { skip(when: .isNotNegative($0)) }
        let directory = cell("working-directory")
        resolveDirectory(path, root, into: directory)
        call(.fchdir, [.cell(directory)], note: Self.directoryNote(path))
        call(.close, [.cell(directory)])
        if let isEntered { place(isEntered) }
    }

    /// A refusal (EACCES, EPERM) stays in the result; the two calls after it then fail with EBADF.
    fileprivate mutating func tryDirectory(_ path: String, _ root: Cell) -> Cell {
        let directory = cell("working-directory")
        let result = cell("entered")
        let refused: [Errno] = [.permissionDenied, .notPermitted]
        resolveDirectory(path, root, into: directory, ignoring: refused)
        call(.fchdir, [.cell(directory)], into: result, ignoring: refused + [.badFileDescriptor])
        call(.close, [.cell(directory)], ignoring: [.badFileDescriptor])
        return result
    }

    private mutating func resolveDirectory(
        _ path: String, _ root: Cell, into directory: Cell, ignoring: [Errno] = []
    ) {
        let inner = path.rootedComponents.relativePath
        resolve(
            inner.isEmpty ? "." : inner, below: root, into: directory,
            flags: .pathOnly | .directory, ignoring: ignoring,
            note: Self.directoryNote(path))
    }

    private static func directoryNote(_ path: String) -> String {
        "chdir to cwd (\"\(path)\")"
    }

    /// Checks the candidates in turn; returns a cell for each, negative if it cannot be run.
    ///
    /// A candidate in PATH may be executable for others but not for this process (by its
    /// permissions or a noexec mount). It counts as found, and its error is reported unless another
    /// candidate can be run.
    fileprivate mutating func findExecutable(_ name: ByteText, _ candidates: [ByteText]) -> [Cell] {
        // A name with a slash is a path that the user wrote: the kernel's own error is best.
        if name.bytes.contains(UInt8(ascii: "/")) {
            return candidates.map { findExecutable(atPath: $0) }
        }
        let ignored: [Errno] = [
            .noSuchFileOrDirectory, .permissionDenied, .notDirectory, .tooManySymbolicLinkLevels,
        ]
        var checks: [Cell] = []
        var found: [Label] = []
        var denied: [(candidate: ByteText, check: Cell)] = []
        for candidate in candidates {
            let check = cell("executable")
            checks.append(check)
            let refusal = cell("refused")
            denied.append((candidate, refusal))
            let status = scratch()
            statx(atPath: candidate, into: status, result: check, ignoring: ignored)
            let missing = skip(when: .isNegative(check))
            let isDirectory = skip(when: .isFile(status, .directory))
            let isForNobody = skip(when: .isForNobody(status))
            mayExecute(candidate, into: check, ignoring: ignored)
            found.append(skip(when: .isNotNegative(check)))
            fail(into: refusal)
            let unusable = skip(when: .always)
            place(isDirectory)
            place(isForNobody)
            fail(into: check)
            place(unusable)
            place(missing)
        }
        for (candidate, refusal) in denied {
            let isNot = skip(when: .isNotNegative(refusal))
            mayExecute(candidate, note: "exec: \"\(name)\"")
            place(isNot)
        }
        refuse("exec: \"\(name)\": executable file not found in $PATH")
        for label in found { place(label) }
        return checks
    }

    private mutating func findExecutable(atPath path: ByteText) -> Cell {
        let check = cell("executable")
        let status = scratch()
        statx(
            atPath: path, into: status, result: check, note: "exec: \"\(path)\": stat \(path)")
        let isDirectory = skip(when: .isFile(status, .directory))
        let isFile = skip(when: .always)
        place(isDirectory)
        refuse("exec: \"\(path)\": is a directory")
        place(isFile)
        mayExecute(path, into: check, note: "exec: \"\(path)\"")
        return check
    }

    mutating func statx(
        atPath path: ByteText, into offset: Int, result: Cell, ignoring: [Errno] = [],
        note: String? = nil
    ) {
        call(
            .statx,
            [
                .named(DirectoryDescriptor.current), text(path), .literal(0),
                .named(StatusMask.basic), .address(offset),
            ], into: result, ignoring: ignoring, note: note)
    }

    private mutating func mayExecute(
        _ path: ByteText, into result: Cell? = nil, ignoring: [Errno] = [], note: String? = nil
    ) {
        call(
            .faccessat2,
            [
                .named(DirectoryDescriptor.current), text(path), .named(AccessMode.execute),
                .named(AccessFlag.effective),
            ], into: result, ignoring: ignoring, note: note)
    }

    /// Makes a cell negative, by a call that fails with EBADF.
    private mutating func fail(into cell: Cell) {
        call(.close, [.literal(-1)], into: cell, ignoring: [.badFileDescriptor])
    }

    /// Tries the candidates that were found, in the order of PATH.
    fileprivate mutating func execute(
        _ candidates: [ByteText], _ arguments: [ByteText], _ environment: [ByteText],
        _ checks: [Cell]
    ) {
        let argv = textArray(arguments)
        let envp = textArray(environment)
        for (index, candidate) in candidates.enumerated() {
            let path = text(candidate)
            let call: InlineArray<3, Operand> = [path, .address(argv), .address(envp)]
            guard index < checks.count else {
                self.call(.execve, call)
                continue
            }
            // If an earlier candidate was found, the later cells are still zero, which also means
            // "found". They are not reached, because the earlier execve either succeeds or ends the
            // program.
            let unusable = skip(when: .isNegative(checks[index]))
            self.call(.execve, call, note: "exec \(candidate)")
            place(unusable)
        }
        refuse("no executable was found")
    }
}
#endif
