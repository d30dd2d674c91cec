// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
package import KernelVocabulary
package import SystemPackage

/// A cell of the machine: a 64-bit variable for the result of a call.
package struct Cell: Hashable, Sendable {
    /// The index among the program's cells.
    package let index: Int
}

/// One operand of an instruction, before the program has an address.
package enum Operand: Equatable, Sendable {
    /// A number.
    case literal(Int)
    /// A number that the kernel's headers name, such as `O_PATH|O_CLOEXEC`.
    case named(NamedNumber)
    /// The value of the cell when the instruction runs.
    case cell(Cell)
    /// The address of prepared memory, `offset` bytes into the program's data.
    case address(Int)
    /// The address of NUL-terminated text in the data; separate so that it can be printed.
    case text(Int)
    /// The address of a cell.
    case cellAddress(Cell)
    /// The address of the progress page, `offset` bytes in.
    case progress(Int)
}

extension Operand {
    /// A number that the kernel's headers name; the name is looked up only for printing.
    static func named(_ word: some KernelWord) -> Operand { .named(NamedNumber(word)) }
}

/// One instruction of the machine, as errors, `explain` and tests read it.
///
/// See CLinux.h for the meaning of each kind, and `PackedInstruction` for how a program keeps it.
package enum Instruction: Equatable, Sendable {
    /// A system call with up to six operands.
    case call(
        SystemCall, [Operand], result: Cell?, ignoring: [Errno], retries: Int)
    /// Copies the low `width` bytes of a cell into prepared memory.
    case copy(Cell, to: Operand, width: Int)
    /// Skips the next `distance` instructions if memory & mask == value.
    case skip(test: Operand, mask: Int, value: Int, distance: Int)
    /// Copies a directory as the five words at `order` say: the descriptors of source and target,
    /// then owner, group and mode of the target itself, where -1 leaves each unchanged.
    case copyTree(order: Operand)
}

/// A descriptor that the parent opens and the child inherits; the launcher puts its number into a
/// cell.
@frozen public enum InheritedDescriptor: Hashable, Sendable {
    /// The child's end of the socket pair on which parent and child wait for each other.
    case rendezvous
    /// The listening socket on which `start` connects.
    case startSocket
    /// The detached mount tree of the root file system.
    case rootfsTree
    /// The detached mount tree made for `mounts[index]`.
    case mountTree(Int)
    /// The detached tree of one v1 hierarchy, for the cgroup mount `mounts[index]`.
    case cgroupTree(Int, String)
    /// The `tasks` file of the v1 cgroup `index`, open for writing.
    case cgroupTasks(Int)
    /// The cgroup directory that a second process is cloned into.
    case cgroupDirectory
    /// A namespace to join.
    case namespace(String)
    /// A process whose namespaces are joined (a pidfd).
    case process
    /// The root directory of the container's init.
    case rootOfInit
    /// The socket that receives the terminal's master.
    case consoleSocket
    /// The future standard input, output or error (0, 1, 2).
    case standardStream(Int)
    /// The directory to copy from.
    case copySource
    /// The empty directory to copy to.
    case copyTarget
    /// A descriptor that a program of the host keeps beside its streams, under its own number.
    case kept(Int)
    /// The first descriptor of a gap between kept descriptors; see `closeDescriptors`.
    case gapStart(phase: Int, Int)
    /// The last descriptor of a gap.
    case gapEnd(phase: Int, Int)
}

/// The name of a cell for `explain`; formatted only there.
package enum CellName: Sendable {
    /// A result of one of the program's calls.
    case own(String)
    /// A descriptor that the launcher provides.
    case inherited(InheritedDescriptor)
}

/// A map from a few descriptors to values, in the order of insertion.
///
/// A lookup is a linear search over numbers: with some dozens of entries, as nearly always, setting
/// up a dictionary would cost more.
///
/// Public, although no product has this module: otherwise the compiler does not specialize it in
/// other modules, where each access would look up metadata of tuples (Decisions/0028).
@frozen public struct DescriptorTable<Value: Sendable>: Sendable, ExpressibleByDictionaryLiteral {
    /// All descriptors with their values.
    @inlinable public var entries: [(descriptor: InheritedDescriptor, value: Value)] { stored }
    @usableFromInline var stored: [(descriptor: InheritedDescriptor, value: Value)] = []
    /// `searchNumber` of each entry.
    @usableFromInline var numbers: [Int] = []

    /// An empty table.
    @inlinable public init() {}

    /// The given entries.
    @inlinable public init(dictionaryLiteral elements: (InheritedDescriptor, Value)...) {
        for (descriptor, value) in elements { self[descriptor] = value }
    }

    /// The value of a descriptor, if there is one.
    @inlinable public subscript(descriptor: InheritedDescriptor) -> Value? {
        get { place(of: descriptor, descriptor.searchNumber).map { stored[$0].value } }
        set {
            let number = descriptor.searchNumber
            switch (place(of: descriptor, number), newValue) {
            case (let place?, let value?): stored[place].value = value
            case (let place?, nil):
                stored.remove(at: place)
                numbers.remove(at: place)
            case (nil, let value?):
                stored.append((descriptor, value))
                numbers.append(number)
            case (nil, nil): break
            }
        }
    }

    @inlinable func place(of descriptor: InheritedDescriptor, _ number: Int) -> Int? {
        var index = 0
        while index < numbers.count {
            if numbers[index] == number, stored[index].descriptor == descriptor { return index }
            index += 1
        }
        return nil
    }
}

extension InheritedDescriptor {
    /// A number shared by few descriptors that is cheap to make and to compare.
    @usableFromInline var searchNumber: Int {
        switch self {
        case .rendezvous: 0
        case .startSocket: 1
        case .rootfsTree: 2
        case .cgroupDirectory: 3
        case .process: 4
        case .rootOfInit: 5
        case .consoleSocket: 6
        case .copySource: 7
        case .copyTarget: 8
        case .namespace(let kind): 0x100 + kind.utf8.count
        case .standardStream(let number): 0x200 + number
        case .kept(let index): 0x300 + index
        case .cgroupTasks(let index): 0x1_0000 + index
        case .mountTree(let index): 0x2_0000 + index
        case .cgroupTree(let index, let name): 0x3_0000 + index << 8 + name.utf8.count
        case .gapStart(let phase, let index): 0x100_0000 + phase << 16 + index
        case .gapEnd(let phase, let index): 0x200_0000 + phase << 16 + index
        }
    }
}

/// The meaning of an instruction's failure.
package struct ProgramNote: Equatable, Sendable {
    /// The index of the instruction.
    package let instruction: Int
    /// The meaning, in words.
    package let text: String
}

/// A lowered program: instructions, the memory they refer to, and data for printing.
package struct ProgramImage: Sendable {
    /// The instructions, in order.
    package internal(set) var packed: [PackedInstruction] = []
    /// The operands of all instructions.
    package internal(set) var operands: [Operand] = []
    /// Prepared memory, addressed by offset.
    package internal(set) var data: [UInt8] = []
    /// Places in `data` that hold the address of another place in `data`.
    package internal(set) var relocations: [(at: Int, target: Int)] = []
    /// Places in `data` that hold the address of a cell.
    package internal(set) var cellRelocations: [(at: Int, cell: Cell)] = []
    /// Places in `data` that hold the address of the progress page plus an offset.
    package internal(set) var progressRelocations: [(at: Int, offset: Int)] = []
    /// The names of the cells, for `explain`.
    package internal(set) var cellNames: [CellName] = []
    /// The cells that the launcher fills before the clone, by descriptor.
    package internal(set) var inputs = DescriptorTable<Cell>()
    /// The notes on instructions whose failure means more than its errno.
    package internal(set) var notes: [ProgramNote] = []
    /// The first instruction of each of the plan's child steps; one without instructions has that
    /// of the next.
    package internal(set) var stepStarts: [Int] = []
    /// The step of each time mark; none if the launch is not timed.
    package internal(set) var timedSteps: [Int] = []
    /// The instruction at which a created container waits to be started.
    package internal(set) var startWaitIndex: Int?

    /// The meaning of a failure of instruction `index`; nil if its errno says enough.
    package func note(of index: Int) -> String? {
        notes.first { $0.instruction == index }?.text
    }
}
#endif
