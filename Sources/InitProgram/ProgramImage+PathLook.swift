// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// A path at which a process looks, before anything depends on it.
package struct LookedPath: Equatable, Sendable {
    /// The path; below a root, it need not begin with a slash.
    package var path: String
    /// The path of the root below which it is resolved; nil for the host's own.
    package var root: String?
    /// Whether it is a file that is read or executed.
    package var isRead: Bool

    package init(_ path: String, below root: String? = nil, isRead: Bool = false) {
        self.path = path
        self.root = root
        self.isRead = isRead
    }
}

extension ProgramImage {
    /// A process whose child looks at paths of the host, as a launch will, but with nothing to lose;
    /// in the end the child writes a byte to the rendezvous.
    ///
    /// Path `index` is looked at in step `index + 1`. A call on a file system that does not answer may
    /// be one that not even SIGKILL ends. Then only the child remains: once this process is killed,
    /// it belongs to init, or to a subreaper above.
    /// - Parameters:
    ///   - paths: the paths; few enough for one program.
    ///   - parent: the ID of the process that starts this one, without which both end.
    /// - Returns: the program.
    package static func look(at paths: [LookedPath], parent: Int32) -> ProgramImage {
        var code = Assembler()
        code.prctl(.setDumpable, 0)
        code.endWithParent(parent)
        code.closeDescriptors(0, gapCount: 2)
        let child = code.cell("child")
        // Both write to the page, so this one waits meanwhile.
        let arguments = code.cloneArguments(.waitsForExec)
        code.call(.clone3, [.address(arguments), .literal(CloneLayout.sizeBytes)], into: child)
        let inChild = code.skip(when: .equals(child, 0))
        code.call(
            .waitid,
            [
                .named(WaitTarget.process), .cell(child), .address(code.scratch()),
                .named(.exited | .allChildren as WaitOptions), .literal(0),
            ], retries: 1000)
        code.call(.exitGroup, [.literal(0)])
        code.place(inChild)
        code.prctl(.endWithParent, .named(SignalNumber.kill))
        let (root, file) = (code.cell("root"), code.cell("file"))
        for (index, looked) in paths.enumerated() {
            code.beginStep(index + 1)
            if let place = looked.root {
                code.openMounted(place, into: root)
                let isMissing = code.skip(when: .isNegative(root))
                code.resolve(looked.path, below: root, into: file, ignoring: .unusable)
                code.close(root)
                code.look(at: file)
                code.place(isMissing)
            } else {
                code.openMounted(looked.path, into: file)
                code.look(at: file)
                if looked.isRead { code.read(looked.path, into: file) }
            }
        }
        code.call(
            .write, [.cell(code.input(.rendezvous)), .address(code.bytes([1])), .literal(1)])
        code.call(.exitGroup, [.literal(0)])
        return code.image
    }
}

extension Assembler {
    /// Opens a path of the host by the same call as a bind mount's source, which also mounts what
    /// waits for its first use.
    fileprivate mutating func openMounted(_ path: String, into file: Cell) {
        call(
            .openTree,
            [
                .named(DirectoryDescriptor.current), text(path), .named(PathFlags.treeCloseOnExec),
            ], into: file, ignoring: .unusable)
    }

    /// Reads a byte, if the file can be opened and has a place to read from; a pipe keeps its bytes.
    fileprivate mutating func read(_ path: String, into file: Cell) {
        open(text(path), .readOnly | .nonBlocking | .noTerminal, into: file, ignoring: .unusable)
        let isMissing = skip(when: .isNegative(file))
        call(
            .pread64, [.cell(file), .address(scratch()), .literal(1), .literal(0)],
            ignoring: [.illegalSeek, .isDirectory, .invalidArgument, .permissionDenied])
        close(file)
        place(isMissing)
    }

    /// Asks for the status of a file, if it could be opened, and closes it.
    fileprivate mutating func look(at file: Cell) {
        let isMissing = skip(when: .isNegative(file))
        // All that the runtime asks for, since a file system may answer for a part of it; and not
        // from the kernel's cache.
        call(
            .statx,
            [
                .cell(file), text(""), .named(.emptyPath | .forcesSync as PathFlags),
                .named(.basic | .birthTime | .mountID as StatusMask), .address(scratch()),
            ], ignoring: .unusable)
        close(file)
        place(isMissing)
    }
}

extension SystemCall {
    fileprivate static var pread64: SystemCall { SystemCall("pread64", __NR_pread64) }
}

extension [Errno] {
    /// The errnos of a path that is missing or refused.
    fileprivate static var unusable: [Errno] {
        [.noSuchFileOrDirectory, .permissionDenied, .notDirectory, .tooManySymbolicLinkLevels]
    }
}
#endif
