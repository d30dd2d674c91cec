// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary

/// The step that gives the process a terminal.
package enum TerminalStep: ChildStep {
    /// Opens a pseudo-terminal of the container, sends its master out and makes the slave the
    /// controlling terminal.
    case openTerminal(TerminalRequest)
}

extension TerminalStep {
    package var sentence: String {
        switch self {
        case .openTerminal(let request):
            "open a terminal"
                + (request.mountsConsole ? " with /dev/console" : "") + ", send its master to "
                + (request.toConsoleSocket ? "the console socket" : "the runtime")
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .openTerminal(let request):
            request.toConsoleSocket ? [.consoleSocket, .rendezvous] : [.rendezvous]
        }
    }

    package var exchanges: [Exchange] {
        switch self {
        case .openTerminal(let request): request.toConsoleSocket ? [] : [.sends(.terminal)]
        }
    }

    package var usesRoot: Bool { true }

    package var usedMount: String? {
        switch self {
        case .openTerminal: "/dev"
        }
    }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .openTerminal(let request): code.openTerminal(request, state)
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        refusal.mountHint
    }
}

extension Assembler {
    /// Opens the container's own ptmx.
    ///
    /// Its directory is first verified to be a devpts, which has no links and no other file of that
    /// name. Kernel: pts(4), ioctl_tty(2).
    fileprivate mutating func openTerminal(
        _ request: TerminalRequest, _ state: LoweringState
    ) {
        let directory = cell("devpts")
        let master = cell("terminal-master")
        let slave = cell("terminal-slave")
        let note = "open /dev/pts/ptmx (process.terminal needs a devpts mount on /dev/pts)"
        resolve(
            "dev/pts", below: state.root, into: directory, flags: .pathOnly | .directory,
            note: note)
        let statistics = scratch()
        call(.fstatfs, [.cell(directory), .address(statistics)])
        let isDevpts = skip(when: .isFilesystem(statistics, .devpts))
        refuse("/dev/pts is not a devpts file system")
        place(isDevpts)
        resolve(
            "ptmx", below: directory, into: master, flags: Self.terminalFlags,
            resolution: .beneath, note: note)
        close(directory)
        let zero = words([0])
        call(.ioctl, [.cell(master), .named(DeviceRequest.lockTerminal), .address(zero)])
        call(
            .ioctl,
            [
                .cell(master), .named(DeviceRequest.openPeer), .named(Self.terminalFlags),
            ], into: slave)
        setSize(of: slave, request)
        if request.mountsConsole {
            withDirectory("/dev", state) { $0.mountConsole(slave, in: $1) }
        }
        sendDescriptor(
            master, over: input(request.toConsoleSocket ? .consoleSocket : .rendezvous))
        call(.close, [.cell(master)])
        for stream in 0...2 {
            call(.dup3, [.cell(slave), .literal(stream), .literal(0)])
        }
        call(.close, [.cell(slave)])
        call(.ioctl, [.literal(0), .named(DeviceRequest.becomeControllingTerminal), .literal(0)])
    }

    private static let terminalFlags: OpenFlags = .readWrite | .noTerminal | .closeOnExec

    /// Sets only the size; the terminal modes stay the kernel's, including ONLCR.
    ///
    /// The holder of the master may change them. Docker's client, for one, relies on "\r\n".
    private mutating func setSize(of slave: Cell, _ request: TerminalRequest) {
        guard let rows = request.rows, let columns = request.columns else { return }
        let size = words([UInt64(rows) | UInt64(columns) << 16])
        call(.ioctl, [.cell(slave), .named(DeviceRequest.setWindowSize), .address(size)])
    }

    /// Attaches the slave to /dev/console by descriptor, since its path could be swapped
    /// (CVE-2025-52565).
    private mutating func mountConsole(_ slave: Cell, in directory: Cell) {
        let target = resolveNode("console", in: directory)
        let console = cloneTree(slave)
        moveMount(console, onto: target)
        close(console)
        close(target)
    }
}
#endif
