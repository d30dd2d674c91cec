// SPDX-License-Identifier: Apache-2.0

internal import SystemPackage

/// One program out of one for each architecture.
///
/// libseccomp could put all architectures in one program, but its time grows with the square of the
/// program: a default profile for three takes 10 ms as one and 4 ms as three. So each is compiled by
/// itself, and the few instructions made here lead to the right one.
///
/// On the way there, calls that the profile's author cannot have known get ENOSYS. A libc tries a
/// new call and falls back to an old one when the kernel answers ENOSYS; the default action of a
/// profile older than the call is mostly EPERM, which breaks the libc. Numbers grow with time, so "a
/// number above the highest one in the profile" is nearly "newer than the profile".
struct ArchitectureDispatch {
    /// The filter of one architecture.
    struct Branch {
        /// libseccomp's number: that of the kernel (AUDIT_ARCH_*) but for x32.
        var architecture: UInt32
        /// Calls with a number above this get ENOSYS; nil if all go to the filter.
        var highestCall: UInt32?
        /// The filter, as bytes.
        var program: [UInt8]
    }

    var branches: [Branch]

    /// Kernel: AUDIT_ARCH_X86_64, which x32 shares.
    private static let x86_64: UInt32 = 0xC000_003E
    /// From here on a call is one of x32, as libseccomp decides it: __X32_SYSCALL_BIT.
    private static let lowestX32Call: UInt32 = 0x4000_0000
    private static let errnoENOSYS: UInt32 = 0x0005_0000 | UInt32(Errno.noFunction.rawValue)
    /// What libseccomp does with the calls of an architecture that is not in the filter.
    private static let killThread: UInt32 = 0
    /// Offsets in `struct seccomp_data`.
    private static let offsetOfNumber: UInt32 = 0
    private static let offsetOfArchitecture: UInt32 = 4

    /// What the instructions before the filters are made of.
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
        let x32 = branches.firstIndex { $0.architecture == SystemCallNumbers.x32Architecture }
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

    /// The tests of one architecture, passed over by the calls of others.
    ///
    /// They are a dozen at most, so that the distance fits in a byte.
    private func section(_ architecture: UInt32, _ tests: [Piece]) -> [Piece] {
        let skip = FilterInstruction.unlessEqual(architecture, skip: UInt8(tests.count + 1))
        return [.instruction(skip), .instruction(.load(Self.offsetOfNumber))] + tests
    }

    /// Without x32 in the profile, its calls go to the filter of x86_64, which kills: their high
    /// numbers say nothing about their age.
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
