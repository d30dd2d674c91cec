// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

/// A cgroup directory and all cgroups below it.
///
/// A container may nest its cgroups as deeply as it likes. So every step goes from one open
/// directory to the next, which limits neither the length of a path nor the depth.
enum CgroupTree {
    // MARK: Removing

    /// Removes `path`; if that is refused, removes its children first.
    ///
    /// A process that is ending keeps its cgroup busy for a moment, so this is repeated for about a
    /// second.
    static func remove(_ path: String) throws(SystemCallError) {
        guard let refusal = refusal(ofRemoving: path, at: currentDirectory) else { return }
        guard isBusy(refusal.errno) else { throw refusal }
        try removeChildren(of: path)
        try removeOnceEmpty(path, at: currentDirectory)
    }

    /// Removes the cgroups below `path`.
    static func removeChildren(of path: String) throws(SystemCallError) {
        guard var directory = try openIfThere(path, at: currentDirectory) else { return }
        var descent: [String] = []
        while true {
            if let child = try removeLeaves(in: directory.number, named: path) {
                if let below = try openIfThere(child, at: directory.number) {
                    directory = below
                    descent.append(child)
                } else {
                    // The child is gone; to be read again, the directory must be reopened.
                    directory = try openFile(".", .readOnly | .directory, at: directory.number)
                }
            } else {
                guard let name = descent.popLast() else { return }
                directory = try openFile("..", .readOnly | .directory, at: directory.number)
                try removeOnceEmpty(name, at: directory.number)
            }
        }
    }

    /// Removes children until one cannot be removed; returns its name.
    private static func removeLeaves(in directory: CInt, named path: String)
        throws(SystemCallError) -> String?
    {
        for child in try directoryNames(in: directory, ofTree: path) {
            guard let refusal = refusal(ofRemoving: child, at: directory) else { continue }
            guard isBusy(refusal.errno) else { throw refusal }
            return child
        }
        return nil
    }

    private static func removeOnceEmpty(_ path: String, at directory: CInt)
        throws(SystemCallError)
    {
        var delay = 1
        while true {
            guard let refusal = refusal(ofRemoving: path, at: directory) else { return }
            guard isBusy(refusal.errno), delay <= 512 else { throw refusal }
            wait(milliseconds: delay)
            delay *= 2
        }
    }

    private static func refusal(ofRemoving path: String, at directory: CInt) -> SystemCallError? {
        do throws(SystemCallError) {
            try removeDirectory(path, at: directory)
            return nil
        } catch {
            return error.errno == .noSuchFileOrDirectory ? nil : error
        }
    }

    private static func isBusy(_ errno: Errno) -> Bool {
        errno == .resourceBusy || errno == .directoryNotEmpty
    }

    // MARK: Walking

    /// The processes of the cgroup at `path` and those below, unordered; none if it is gone.
    static func processes(in path: String) throws(SystemCallError) -> [Int] {
        var found: [Int] = []
        try visit(path) { (directory) throws(SystemCallError) in
            found += try processIDs(in: directory)
        }
        return found
    }

    /// The contents of a file of the cgroup at `path`, then of those below; none if it is gone.
    static func contents(of file: String, in path: String) throws(SystemCallError) -> [[UInt8]] {
        var found: [[UInt8]] = []
        try visit(path) { (directory) throws(SystemCallError) in
            do throws(SystemCallError) {
                found.append(try readFile(file, at: directory))
            } catch  where isGone(error.errno) {
                return
            }
        }
        return found
    }

    private static func visit(
        _ path: String, _ body: (CInt) throws(SystemCallError) -> Void
    ) throws(SystemCallError) {
        guard var directory = try openIfThere(path, at: currentDirectory) else { return }
        try body(directory.number)
        var unseen = [try directoryNames(in: directory.number, ofTree: path)]
        while !unseen.isEmpty {
            guard let child = unseen[unseen.count - 1].popLast() else {
                unseen.removeLast()
                if unseen.isEmpty { return }
                directory = try openFile("..", .pathOnly | .directory, at: directory.number)
                continue
            }
            guard let below = try openIfThere(child, at: directory.number) else { continue }
            directory = below
            try body(directory.number)
            unseen.append(try directoryNames(in: directory.number, ofTree: path))
        }
    }

    private static func openIfThere(_ path: String, at directory: CInt)
        throws(SystemCallError) -> OwnedDescriptor?
    {
        do throws(SystemCallError) {
            return try openFile(path, .readOnly | .directory, at: directory)
        } catch  where isGone(error.errno) {
            return nil
        }
    }

    private static func directoryNames(in directory: CInt, ofTree path: String)
        throws(SystemCallError) -> [String]
    {
        do throws(SystemCallError) {
            return try ContainerKit.directoryNames(in: directory, named: path)
        } catch  where isGone(error.errno) {
            return []
        }
    }

    /// Whether a cgroup does not exist; one that is removed while it is read causes ENODEV.
    private static func isGone(_ errno: Errno) -> Bool {
        errno == .noSuchFileOrDirectory || errno == .operationNotSupportedByDevice
    }

    private static func processIDs(in directory: CInt) throws(SystemCallError) -> [Int] {
        do throws(SystemCallError) {
            return try numbers("cgroup.procs", in: directory)
        } catch  where error.errno == .notSupported {
            // A threaded v2 cgroup lists only its threads.
            return try numbers("cgroup.threads", in: directory)
        }
    }

    private static func numbers(_ file: String, in directory: CInt) throws(SystemCallError)
        -> [Int]
    {
        do throws(SystemCallError) {
            return words(of: try readFile(file, at: directory)).compactMap { Int($0) }
        } catch  where isGone(error.errno) {
            return []
        }
    }
}
#endif
