// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary

// What `explain --calls` shows of memory: it is read from the data that the machine gets, so it
// cannot differ from what the kernel gets.

extension ProgramImage {
    /// The structure or list at an operand, with the names of its fields.
    ///
    /// Fields that are zero are left out. Nil for memory that only the kernel fills.
    func structure(
        at offset: Int, operand: Int, of call: SystemCall, _ operands: [Operand],
        instruction: Int
    ) -> String? {
        let memory = PreparedMemory(image: self, instruction: instruction)
        return switch (call.name, operand) {
        case ("openat2", 2): memory.openHow(offset)
        case ("mount_setattr", 3): memory.mountAttributes(offset)
        case ("clone3", 0): memory.cloneArguments(offset)
        case ("landlock_create_ruleset", 0): memory.landlockRuleset(offset)
        case ("landlock_add_rule", 2):
            memory.landlockRule(
                offset, isOfPort: number(operands[1]) == LandlockRule.port.number)
        case ("sched_setattr", 1): memory.schedulingAttributes(offset)
        case ("prlimit64", 2): memory.limit(offset)
        case ("capset", 0):
            "{version=\(CapabilityVersion.spelling(of: memory.half(offset)))}"
        case ("capset", 1): memory.capabilities(offset)
        case ("setgroups", 1):
            list((0..<number(operands[0])).map { String(memory.half(offset + 4 * $0)) })
        case ("sched_setaffinity", 2): memory.numberSet(offset, bytes: number(operands[1]))
        case ("set_mempolicy", 1): memory.numberSet(offset, bytes: number(operands[2]) / 8)
        case ("rt_sigaction", 1): memory.word(offset) == 0 ? "{sa_handler=SIG_DFL}" : nil
        case ("rt_sigprocmask", 1), ("signalfd4", 1): memory.signals(offset)
        case ("ppoll", 0): memory.polled(offset, count: number(operands[1]))
        case ("futex", 3): "{tv_sec=\(memory.word(offset)), tv_nsec=\(memory.word(offset + 8))}"
        case ("seccomp", 2): "{len=\(memory.word(offset))}"
        case ("ioctl", 2): memory.request(number(operands[1]), offset)
        case ("sendmsg", 1): memory.sentMessage(offset)
        case ("recvmsg", 1): memory.receivedMessage(offset)
        case ("write", 1): memory.report(offset)
        case ("execve", 1): list(memory.texts(offset).map { "\"\($0)\"" })
        // Variables may hold secrets, and a plan is shown to others.
        case ("execve", 2): "[\(memory.texts(offset).count) variables]"
        default: nil
        }
    }

    private func number(_ operand: Operand) -> Int {
        switch operand {
        case .literal(let value): value
        case .named(let number): number.number
        case .cell, .address, .text, .cellAddress, .progress: 0
        }
    }

    private func list(_ items: [String]) -> String {
        "[" + items.joined(separator: ", ") + "]"
    }
}

extension ProgramImage {
    /// The condition of a skip that tests memory: the field, if a call just before has filled it.
    func condition(at offset: Int, mask: Int, value: Int, instruction: Int) -> String {
        let filler = filler(of: offset, before: instruction)
        switch (filler?.call, filler.map { offset - $0.start }) {
        case ("statx", StatusLayout.mode) where mask == FileKind.mask:
            return "stx_mode & S_IFMT is \(FileKind.spelling(of: value))"
        case ("statx", StatusLayout.mode):
            return "stx_mode & 0\(String(mask, radix: 8)) is 0\(String(value, radix: 8))"
        case ("statx", StatusLayout.device):
            let (major, minor) = (value & Int(UInt32.max), value >> 32 & Int(UInt32.max))
            return "stx_rdev is makedev(\(major), \(minor))"
        case ("statx", StatusLayout.attributes):
            return "stx_attributes has \(StatusAttributes.spelling(of: value))"
        case ("fstatfs", 0): return "f_type is \(FilesystemMagic.spelling(of: value))"
        case ("ppoll", 0):
            let first = PreparedMemory(image: self, instruction: instruction).cell(offset) ?? "fd"
            return "\(first) is \(value == 0 ? "not " : "")readable"
        case ("read", 0) where mask == Int(UInt32.max):
            return "ssi_signo is \(SignalNumber.spelling(of: value))"
        case ("waitid", HookReport.statusOffset): return "si_status is \(value)"
        default:
            return "memory & 0x\(String(UInt(bitPattern: mask), radix: 16)) is "
                + "0x\(String(UInt(bitPattern: value), radix: 16))"
        }
    }

    /// The call that filled the memory at an offset, and where that memory begins.
    ///
    /// A test follows its call after a few instructions at most.
    private func filler(of offset: Int, before instruction: Int) -> (call: String, start: Int)? {
        for earlier in packed[max(0, instruction - 16)..<instruction].reversed()
        where earlier.kind == .call {
            for case .address(let start) in operands[earlier.operands]
            where (start..<(start + StatusLayout.sizeBytes)).contains(offset) {
                return (earlier.call.name, start)
            }
        }
        return nil
    }
}

/// The memory of a program as it is before an instruction runs.
private struct PreparedMemory {
    let image: ProgramImage
    let instruction: Int

    // MARK: Reading

    func word(_ offset: Int) -> Int {
        (0..<8).reduce(0) { $0 | Int(byte(offset + $1)) << (8 * $1) }
    }

    func half(_ offset: Int) -> Int { word(offset) & Int(UInt32.max) }

    func quarter(_ offset: Int) -> Int { word(offset) & Int(UInt16.max) }

    private func byte(_ offset: Int) -> UInt8 {
        image.data.indices.contains(offset) ? image.data[offset] : 0
    }

    /// The cell that the program copies to this offset before the instruction.
    func cell(_ offset: Int) -> String? {
        for earlier in image.packed[..<instruction].reversed()
        where earlier.kind == .copy && image.operands[earlier.operands].first == .address(offset) {
            return earlier.result.map { name($0.index) }
        }
        return nil
    }

    private func name(_ cell: Int) -> String { "$" + image.cellNames[cell].text }

    private func target(_ offset: Int) -> Int? {
        image.relocations.first { $0.at == offset }?.target
    }

    private func pointedCell(_ offset: Int) -> Int? {
        image.cellRelocations.first { $0.at == offset }?.cell.index
    }

    /// The texts of an array such as argv.
    func texts(_ offset: Int) -> [String] {
        var texts: [String] = []
        while let start = target(offset + 8 * texts.count) {
            texts.append(image.text(at: start))
        }
        return texts
    }

    /// Fields as `{name=value}`, without those that are nil.
    private func fields(_ fields: KeyValuePairs<String, String?>) -> String {
        let known = fields.compactMap { name, value in value.map { "\(name)=\($0)" } }
        return "{" + known.joined(separator: ", ") + "}"
    }

    private func nonzero(_ value: Int) -> String? { value == 0 ? nil : String(value) }

    private func nonempty(_ flags: some KernelFlags) -> String? {
        flags.isEmpty ? nil : flags.description
    }

    // MARK: Structures

    /// `struct open_how`.
    func openHow(_ offset: Int) -> String {
        fields([
            "flags": OpenFlags.spelling(of: word(offset)),
            "mode": word(offset + 8) == 0 ? nil : FileMode.spelling(of: word(offset + 8)),
            "resolve": nonempty(Resolution(rawValue: word(offset + 16))),
        ])
    }

    /// `struct mount_attr`.
    func mountAttributes(_ offset: Int) -> String {
        fields([
            "attr_set": nonempty(MountAttributes(rawValue: word(offset))),
            "attr_clr": nonempty(MountAttributes(rawValue: word(offset + 8))),
            "propagation": nonempty(MountFlags(rawValue: word(offset + 16))),
        ])
    }

    /// `struct landlock_ruleset_attr`.
    func landlockRuleset(_ offset: Int) -> String {
        fields([
            "handled_access_fs": nonempty(LandlockFileAccess(rawValue: word(offset))),
            "handled_access_net": nonempty(LandlockNetworkAccess(rawValue: word(offset + 8))),
            "scoped": nonempty(LandlockScopes(rawValue: word(offset + 16))),
        ])
    }

    /// `struct landlock_net_port_attr` or `struct landlock_path_beneath_attr`.
    func landlockRule(_ offset: Int, isOfPort: Bool) -> String {
        guard isOfPort else {
            return fields([
                "allowed_access": nonempty(LandlockFileAccess(rawValue: word(offset))),
                "parent_fd": cell(offset + LandlockLayout.descriptor),
            ])
        }
        return fields([
            "allowed_access": nonempty(LandlockNetworkAccess(rawValue: word(offset))),
            "port": String(word(offset + 8)),
        ])
    }

    /// `struct clone_args`.
    func cloneArguments(_ offset: Int) -> String {
        let pidfd = pointedCell(offset + CloneLayout.pidfd)
        return fields([
            "flags": CloneFlags.spelling(of: word(offset)),
            "pidfd": pidfd.map { "&" + name($0) },
            "cgroup": cell(offset + CloneLayout.cgroup),
        ])
    }

    /// `struct sched_attr`.
    func schedulingAttributes(_ offset: Int) -> String {
        fields([
            "sched_policy": SchedulingPolicy.spelling(of: half(offset + 4)),
            "sched_flags": nonempty(SchedulingFlags(rawValue: word(offset + 8))),
            "sched_nice": nonzero(Int(Int32(truncatingIfNeeded: half(offset + 16)))),
            "sched_priority": nonzero(half(offset + 20)),
            "sched_runtime": unsigned(offset + 24), "sched_deadline": unsigned(offset + 32),
            "sched_period": unsigned(offset + 40),
        ])
    }

    private func unsigned(_ offset: Int) -> String? {
        word(offset) == 0 ? nil : String(UInt(bitPattern: word(offset)))
    }

    /// `struct rlimit64`.
    func limit(_ offset: Int) -> String {
        func value(_ offset: Int) -> String {
            word(offset) == -1 ? "RLIM64_INFINITY" : String(UInt(bitPattern: word(offset)))
        }
        return "{rlim_cur=\(value(offset)), rlim_max=\(value(offset + 8))}"
    }

    /// The three sets of capset(2), the low halves before the high ones; equal sets are shown once.
    func capabilities(_ offset: Int) -> String {
        let names = ["effective", "permitted", "inheritable"]
        var sets: [(names: String, mask: Int)] = []
        for (index, name) in names.enumerated() {
            let mask = half(offset + 4 * index) | half(offset + 12 + 4 * index) << 32
            if let last = sets.last, last.mask == mask {
                sets[sets.count - 1].names += "=" + name
            } else {
                sets.append((name, mask))
            }
        }
        let parts = sets.map { "\($0.names)=\(CapabilityWord.spelling(of: $0.mask))" }
        return "{" + parts.joined(separator: ", ") + "}"
    }

    /// A bit mask of CPUs or memory nodes in the list format of cpuset(7).
    func numberSet(_ offset: Int, bytes: Int) -> String {
        var ranges: [ClosedRange<Int>] = []
        for number in 0..<(bytes * 8) where byte(offset + number / 8) >> (number % 8) & 1 == 1 {
            if let last = ranges.last, last.upperBound == number - 1 {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        let parts = ranges.map {
            $0.count == 1 ? String($0.lowerBound) : "\($0.lowerBound)-\($0.upperBound)"
        }
        return "[" + parts.joined(separator: ",") + "]"
    }

    /// A mask of signals.
    func signals(_ offset: Int) -> String {
        let numbers = (1...SignalNumber.last).filter { word(offset) >> ($0 - 1) & 1 == 1 }
        let names = numbers.map { SignalNumber.spelling(of: $0) }
        return "[" + names.joined(separator: ", ") + "]"
    }

    /// An array of `struct pollfd`.
    func polled(_ offset: Int, count: Int) -> String {
        let entries = (0..<count).map { index in
            let entry = offset + 8 * index
            let events = PollEvents.spelling(of: quarter(entry + 4))
            return "{fd=\(cell(entry) ?? "0"), events=\(events)}"
        }
        return "[" + entries.joined(separator: ", ") + "]"
    }

    /// The third argument of ioctl(2).
    func request(_ request: Int, _ offset: Int) -> String? {
        switch DeviceRequest(rawValue: request) {
        case .lockTerminal: "[\(half(offset))]"
        case .setWindowSize:
            "{ws_row=\(quarter(offset)), ws_col=\(quarter(offset + 2))}"
        case .setInterfaceFlags:
            fields([
                "ifr_name": "\"\(image.text(at: offset))\"",
                "ifr_flags": InterfaceFlags.spelling(of: quarter(offset + 16)),
            ])
        default: nil
        }
    }

    /// A message with descriptors; parts that are no text are shown by their sizes.
    func sentMessage(_ offset: Int) -> String? {
        guard let vectors = target(offset + 16), let control = target(offset + 32) else {
            return nil
        }
        let parts = (0..<word(offset + 24)).map { index in
            let length = word(vectors + 16 * index + 8)
            let bytes = target(vectors + 16 * index).map { image.data[$0...].prefix(length) } ?? []
            let isText = bytes.allSatisfy { $0 >= UInt8(ascii: " ") }
            return isText ? "\"\(String(decoding: bytes, as: UTF8.self))\"" : "\(length) bytes"
        }
        let descriptors = (0..<((word(control) - 16) / 4)).map {
            cell(control + 16 + 4 * $0) ?? "0"
        }
        return "{iov=[\(parts.joined(separator: ", "))], "
            + "SCM_RIGHTS=[\(descriptors.joined(separator: ", "))]}"
    }

    /// The room for a message with a descriptor: the cell that gets it follows the two cells of the
    /// header.
    func receivedMessage(_ offset: Int) -> String? {
        pointedCell(offset + 32).map { "{SCM_RIGHTS=[&\(name($0 + 2))]}" }
    }

    /// A report to the runtime: a byte, perhaps with a cell behind it.
    func report(_ offset: Int) -> String? {
        guard let event = ChildEvent(rawValue: byte(offset)) else { return nil }
        return "[" + ["\(event)", cell(offset + 4)].compactMap(\.self).joined(separator: ", ")
            + "]"
    }
}
#endif
