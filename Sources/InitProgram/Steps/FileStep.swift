// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Steps that make links and directories, and set kernel parameters.
package enum FileStep: ChildStep {
    /// Makes symbolic links in one directory; existing files stay.
    case makeLinks(directory: String, [SymbolicLink])
    /// Makes a symbolic link; an existing file must be the same link.
    case copyLink(directory: String, SymbolicLink)
    /// Makes a directory and its parents; an existing one stays.
    case makeDirectory(String)
    /// Sets a kernel parameter through a procfs of our own.
    case setSysctl([KernelParameter])
}

extension FileStep {
    package var sentence: String {
        switch self {
        case .makeLinks(let directory, let links):
            "link "
                + links.map { "\(directory)/\($0.name) to \($0.target)" }.joined(separator: ", ")
        case .copyLink(let directory, let link):
            "link \(directory == "/" ? "" : directory)/\(link.name) to \(link.target)"
        case .makeDirectory(let path): "make \(path) if it is missing"
        case .setSysctl(let parameters):
            "set " + parameters.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .makeLinks, .copyLink, .makeDirectory: [.rendezvous]
        case .setSysctl: []
        }
    }

    package var exchanges: [Exchange] { [] }
    package var usesRoot: Bool {
        switch self {
        case .makeLinks, .copyLink, .makeDirectory: true
        case .setSysctl: false
        }
    }

    package var usedMount: String? {
        switch self {
        case .makeLinks(let directory, _), .copyLink(let directory, _): directory
        case .makeDirectory, .setSysctl: nil
        }
    }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .makeLinks(let path, let links):
            code.withDirectory(path, state) { $0.makeLinks($1, links) }
        case .copyLink(let path, let link):
            code.withDirectory(path, state) { $0.copyLink($1, link, path) }
        case .makeDirectory(let path): code.makeDirectory(path, state.root)
        case .setSysctl(let parameters): code.setSysctl(parameters)
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        refusal.mountHint
    }
}

extension Assembler {
    fileprivate mutating func makeDirectory(_ path: String, _ root: Cell) {
        let directory = resolveMaking(path, below: root, kind: .directory, source: nil)
        call(.close, [.cell(directory)])
    }

    fileprivate mutating func makeLinks(_ directory: Cell, _ links: [SymbolicLink]) {
        for link in links {
            call(
                .symlinkat, [text(link.target), .cell(directory), text(link.name)],
                ignoring: [.fileExists])
        }
    }

    /// Compares the text of an existing link eight bytes at a time.
    fileprivate mutating func copyLink(_ directory: Cell, _ link: SymbolicLink, _ path: String) {
        let made = cell("made")
        call(
            .symlinkat, [text(link.target), .cell(directory), text(link.name)], into: made,
            ignoring: [.fileExists])
        let isNew = skip(when: .isNotNegative(made))
        let wanted = Array(link.target.utf8)
        // One byte more than expected, to recognize a longer text.
        let found = reserve((wanted.count + 8) / 8 * 8)
        let count = cell("link-length")
        call(
            .readlinkat,
            [
                .cell(directory), text(link.name), .address(found), .literal(wanted.count + 1),
            ], into: count, ignoring: [.invalidArgument])
        let note =
            "\(path == "/" ? "" : path)/\(link.name) exists and is not a link to \(link.target)"
        let sameLength = skip(when: .equals(count, wanted.count))
        refuse(note)
        place(sameLength)
        for start in stride(from: 0, to: wanted.count, by: 8) {
            let bytes = wanted[start..<min(start + 8, wanted.count)]
            let word = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let same = skip(
                when: .memory(found + start, mask: -1, value: Int(bitPattern: UInt(word))))
            refuse(note)
            place(same)
        }
        place(isNew)
    }

    /// Writes through a procfs instance that is not attached anywhere, so that mounts of the
    /// container on /proc cannot redirect the write (CVE-2025-52881).
    fileprivate mutating func setSysctl(_ parameters: [KernelParameter]) {
        let proc = newFilesystem("proc", source: "proc", options: [], attributes: .empty)
        for parameter in parameters {
            let file = cell("sysctl")
            resolve(
                "sys/" + parameter.path, below: proc, into: file, flags: .writeOnly,
                resolution: .beneath)
            call(
                .write,
                [.cell(file), text(parameter.value), .literal(parameter.value.utf8.count)])
            call(.close, [.cell(file)])
        }
        call(.close, [.cell(proc)])
    }
}

extension SystemCall {
    static var readlinkat: SystemCall { SystemCall("readlinkat", __NR_readlinkat) }
}
#endif
