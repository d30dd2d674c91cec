// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
package import KernelVocabulary
internal import SystemPackage

/// The step that loads a filter of system calls.
package enum FilterStep: ChildStep {
    /// Loads a seccomp filter; if it has a listener, waits until the runtime has taken it.
    ///
    /// Kernel: seccomp(2), seccomp_unotify(2).
    case loadSeccomp(filter: [UInt8], flags: SeccompFilterFlags, listener: StartChannel? = nil)
}

extension FilterStep {
    package var sentence: String {
        switch self {
        case .loadSeccomp(let filter, _, let listener):
            "load the seccomp filter (\(filter.count / 8) instructions)"
                + (listener == nil ? "" : ", give its listener to the runtime")
        }
    }

    package var inputs: [InheritedDescriptor] {
        switch self {
        case .loadSeccomp(_, _, let connection): connection?.inputs ?? []
        }
    }

    package var exchanges: [Exchange] {
        switch self {
        case .loadSeccomp(_, _, let listener):
            listener == nil ? [] : [.sends(.report(.listening)), .receives(.listenerTaken)]
        }
    }

    package var usesRoot: Bool { false }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .loadSeccomp(let filter, let flags, let channel):
            let listener = code.loadSeccomp(filter, flags, &state)
            if let channel { code.handOver(listener, over: channel, state) }
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        switch (refusal.call, refusal.errno) {
        case ("seccomp", .resourceBusy):
            "a filter that the runtime itself runs under has a listener already"
        case ("seccomp", .permissionDenied):
            "without process.noNewPrivileges it takes CAP_SYS_ADMIN"
        case ("seccomp", .invalidArgument):
            "this kernel does not know one of linux.seccomp.flags, or the filter is longer than 4096 "
                + "instructions"
        default: nil
        }
    }
}

extension Assembler {
    fileprivate mutating func loadSeccomp(
        _ filter: [UInt8], _ flags: SeccompFilterFlags, _ state: inout LoweringState
    ) -> Cell {
        let listener = cell("seccomp-listener")
        let known = state.filters.first { $0.filter == filter }?.offset
        let instructions = known ?? bytes(filter)
        if known == nil { state.filters.append((filter, instructions)) }
        let program = words([UInt64(filter.count / 8), 0])
        relocate(at: program + 8, to: instructions)
        call(
            .seccomp,
            [
                .named(SeccompOperation.setFilter), .named(flags), .address(program),
            ], into: listener)
        return listener
    }

    /// Sends the listener's number by write(2) and reads the answer by read(2), calls that runc
    /// also needs under the filter; the runtime takes the descriptor itself by pidfd_getfd(2).
    fileprivate mutating func handOver(
        _ listener: Cell, over channel: StartChannel, _ state: LoweringState
    ) {
        let socket = socket(of: channel, state)
        let note = "unable to hand the seccomp listener over: the profile refuses"
        let message = bytes([ChildEvent.listening.rawValue, 0, 0, 0, 0, 0, 0, 0])
        copy(listener, to: message + 4, width: 4)
        call(
            .write, [.cell(socket), .address(message), .literal(8)], retries: 1000, note: note)
        let byte = scratch()
        let count = cell("received")
        call(
            .read, [.cell(socket), .address(byte), .literal(1)], into: count, retries: 1000,
            note: note)
        let received = skip(when: .equals(count, 1))
        refuse("the runtime ended before it had the seccomp listener")
        place(received)
    }
}

extension SystemCall {
    static var seccomp: SystemCall { SystemCall("seccomp", __NR_seccomp) }
}
#endif
