// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary
internal import SystemPackage

// Names in one directory.

extension Assembler {
    /// Uses the directory at `path`, made when missing.
    ///
    /// A mount of the config is used by its descriptor: through a symbolic link of the image another
    /// mount may be on the path, with files of the host.
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

    /// The file of this name, made when missing; it is no link and leads nowhere else.
    mutating func resolveNode(_ name: String, in directory: Cell) -> Cell {
        call(
            .mknodat,
            [.cell(directory), text(name), .named(FileMode(.regular, 0o600)), .literal(0)],
            ignoring: [.fileExists])
        let target = cell(name)
        openName(name, in: directory, into: target)
        return target
    }

    /// Opens what has a name in a directory, whatever it is.
    mutating func openName(_ name: String, in directory: Cell, into result: Cell) {
        resolve(
            name, below: directory, into: result, flags: .pathOnly | .noFollow,
            resolution: .name)
    }
}
