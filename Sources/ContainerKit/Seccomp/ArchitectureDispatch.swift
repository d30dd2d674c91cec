// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import SystemPackage

/// Combines the filters of several architectures into one program.
///
/// libseccomp could do that, but its time grows with the square of the program's length: a default
/// profile for three architectures takes 10 ms as one program and 4 ms as three. So each is
/// compiled by itself, and a few instructions made here jump to the right one.
///
/// These also return ENOSYS for calls that are newer than the profile. A libc tries a new call and
/// falls back to an old one on ENOSYS; the default action of an old profile is mostly EPERM, which
/// breaks the libc. Numbers of calls grow with time, so a number above the highest one in the
/// profile is probably newer than the profile.
struct ArchitectureDispatch {
    /// The filter of one architecture.
    struct Branch {
        /// The architecture's number: the kernel's AUDIT_ARCH_*, except for x32, which has
        /// libseccomp's.
        var architecture: UInt32
        /// Calls with a higher number get ENOSYS; nil if all calls go to the filter.
        var highestCall: UInt32?
        /// The filter, as bytes.
        var program: [UInt8]
    }

    var branches: [Branch]

    /// libseccomp's own number for x32, which the kernel knows as x86_64 with bit 30 set.
    private static let x32: UInt32 = 0x4000_003E
    /// Kernel: AUDIT_ARCH_X86_64, which x32 shares.
    private static let x86_64: UInt32 = 0xC000_003E
    /// Calls from this number on are x32, as in libseccomp: __X32_SYSCALL_BIT.
    private static let lowestX32Call: UInt32 = 0x4000_0000
    private static let errnoENOSYS: UInt32 = 0x0005_0000 | UInt32(Errno.noFunction.rawValue)
    /// The action of libseccomp for calls of an architecture that is not in the filter.
    private static let killThread: UInt32 = 0
    /// Offsets in `struct seccomp_data`.
    private static let offsetOfNumber: UInt32 = 0
    private static let offsetOfArchitecture: UInt32 = 4

    /// The parts of the code before the filters.
    private enum Piece {
        case instruction(FilterInstruction)
        /// A jump to the filter of a branch.
        case enter(Int)
    }

    /// The whole program.
    func assembled() -> [UInt8] {
        let pieces = self.pieces
        var starts: [Int] = []
        var end = pieces.count
        for branch in branches {
            starts.append(end)
            end += branch.program.count / FilterInstruction.sizeBytes
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(end * FilterInstruction.sizeBytes)
        for (position, piece) in pieces.enumerated() {
            switch piece {
            case .instruction(let instruction): bytes += instruction.bytes
            case .enter(let branch):
                bytes += FilterInstruction.jump(over: starts[branch] - position - 1).bytes
            }
        }
        for branch in branches {
            bytes += branch.program
        }
        return bytes
    }

    private var pieces: [Piece] {
        var pieces: [Piece] = [.instruction(.load(Self.offsetOfArchitecture))]
        let x32 = branches.firstIndex { $0.architecture == Self.x32 }
        for (index, branch) in branches.enumerated() where index != x32 {
            let tests =
                branch.architecture == Self.x86_64
                ? testsOfX86_64(index, x32: x32) : refuseNewer(index) + [.enter(index)]
            pieces += section(branch.architecture, tests)
        }
        if let x32, !branches.contains(where: { $0.architecture == Self.x86_64 }) {
            let tests = whereX32(refuseNewer(x32) + [.enter(x32)])
            pieces += section(Self.x86_64, tests + [.instruction(.end(Self.killThread))])
        }
        return pieces + [.instruction(.end(Self.killThread))]
    }

    /// The tests of one architecture, which calls of other architectures skip.
    ///
    /// There are a dozen at most, so the distance fits in a byte.
    private func section(_ architecture: UInt32, _ tests: [Piece]) -> [Piece] {
        let skip = FilterInstruction.unlessEqual(architecture, skip: UInt8(tests.count + 1))
        return [.instruction(skip), .instruction(.load(Self.offsetOfNumber))] + tests
    }

    /// If the profile lacks x32, its calls go to the x86_64 filter, which kills: their high numbers
    /// do not show their age.
    private func testsOfX86_64(_ index: Int, x32: Int?) -> [Piece] {
        let x32Tests = x32.map { refuseNewer($0) + [.enter($0)] } ?? [.enter(index)]
        return whereX32(x32Tests) + refuseNewer(index) + [.enter(index)]
    }

    private func whereX32(_ tests: [Piece]) -> [Piece] {
        [.instruction(.unlessAtLeast(Self.lowestX32Call, skip: UInt8(tests.count)))] + tests
    }

    private func refuseNewer(_ index: Int) -> [Piece] {
        guard let highest = branches[index].highestCall else { return [] }
        return [
            .instruction(.unlessAbove(highest, skip: 1)), .instruction(.end(Self.errnoENOSYS)),
        ]
    }
}
#endif
