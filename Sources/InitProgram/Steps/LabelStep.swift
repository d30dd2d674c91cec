// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary

// Security labels are written to files of /proc/self/attr. The procfs is the host's, opened while
// its path still means the host's, and verified before use. So nothing that an image or a volume
// mounts on /proc can redirect the write (CVE-2019-16884).

/// Steps that let a security module confine the program.
package enum LabelStep: ChildStep {
    /// Opens the host's procfs, for a label that is set after the root has changed.
    case openHostProc
    /// Sets the labels by which security modules confine the program.
    case setSecurityLabels([SecurityLabel])
}

extension LabelStep {
    package var sentence: String {
        switch self {
        case .openHostProc: "open the host's procfs"
        case .setSecurityLabels(let labels):
            "write " + labels.map { "\"\($0.text)\" to \($0.file)" }.joined(separator: ", ")
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .openHostProc, .setSecurityLabels: []
        }
    }

    package var exchanges: [Exchange] { [] }
    package var usesRoot: Bool { false }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .openHostProc: state.hostProc = code.openHostProc()
        case .setSecurityLabels(let labels):
            let proc = state.hostProc ?? code.openHostProc()
            for label in labels { code.write(label, below: proc) }
            code.call(.close, [.cell(proc)])
            state.hostProc = nil
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        refusal.mountHint
    }
}

extension Assembler {
    mutating func openHostProc() -> Cell {
        let proc = openDirectory("/proc", "host-proc")
        let statistics = scratch()
        call(.fstatfs, [.cell(proc), .address(statistics)])
        let isProc = skip(when: .isFilesystem(statistics, .proc))
        refuse("/proc of the host is not a procfs")
        place(isProc)
        return proc
    }

    /// `self` is resolved when the file is opened, so it means the process that writes.
    mutating func write(_ label: SecurityLabel, below proc: Cell) {
        let file = cell("attribute")
        let note = "\(label.purpose) (`/proc/self/\(label.file)`)"
        resolve(
            "self/" + label.file, below: proc, into: file, flags: .writeOnly,
            resolution: .beneathThroughLinks, note: note)
        call(
            .write, [.cell(file), text(label.text), .literal(label.text.utf8.count)],
            note: note)
        call(.close, [.cell(file)])
    }
}
#endif
