// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

// Names in a single directory.

extension Assembler {
    /// Uses the directory at `path`, and makes it if it is missing.
    ///
    /// A mount of the config is used by its descriptor. Its path could lead through a symbolic link
    /// of the image to another mount, with files of the host.
    mutating func withDirectory(
        _ path: String, _ state: LoweringState, _ body: (inout Assembler, Cell) -> Void
    ) {
        if let mount = state.mount(at: path) {
            body(&self, mount)
            return
        }
        let directory = resolveMaking(path, below: state.root, kind: .directory, source: nil)
        body(&self, directory)
        call(.close, [.cell(directory)])
    }

    /// Opens the file of this name, made if it is missing, without following a link.
    mutating func resolveNode(_ name: String, in directory: Cell) -> Cell {
        call(
            .mknodat,
            [.cell(directory), text(name), .named(FileMode(.regular, 0o600)), .literal(0)],
            ignoring: [.fileExists])
        let target = cell(name)
        openName(name, in: directory, into: target)
        return target
    }

    /// Opens the entry of this name in a directory, of any type, without following a link.
    mutating func openName(_ name: String, in directory: Cell, into result: Cell) {
        resolve(
            name, below: directory, into: result, flags: .pathOnly | .noFollow,
            resolution: .name)
    }
}
#endif
