// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import KernelVocabulary
import Testing

@testable import InitProgram

/// The lowering writes the kernel's structures as plain words: these tests compare them with the
/// headers.
@Suite("Structures of the kernel")
struct StructureTests {
    @Test("statx fits its buffer, and its mode and device are at the offsets that skips test")
    func statxOffsets() throws {
        #expect(MemoryLayout<clinux_statx>.offset(of: \.stx_mode) == 28)
        #expect(MemoryLayout<clinux_statx>.offset(of: \.stx_rdev_major) == 128)
        #expect(MemoryLayout<clinux_statx>.offset(of: \.stx_rdev_minor) == 132)
        // Skips read eight bytes, and another structure follows the area.
        #expect(MemoryLayout<clinux_statx>.size <= 256)

        let image = ProgramImage(
            of: .device(
                .makeDevices(
                    directory: "/dev",
                    [Device(name: "x", mode: FileMode(.characterDevice, 0o666), major: 1, minor: 3)]
                )))
        let status = try #require(image.operands(of: "statx").first?.last?.offset)
        #expect(
            image.memoryTests.suffix(2) == [
                MemoryTest(offset: status + 28, mask: Int(S_IFMT), value: Int(S_IFCHR)),
                MemoryTest(offset: status + 128, mask: -1, value: 1 | 3 << 32),
            ])
    }

    @Test(
        "a device's number is encoded as makedev(3) does",
        arguments: [
            (1, 3, 0x103), (5, 2, 0x502), (259, 0, 0x10300), (8, 300, 0x10_082c),
            (0xfff, 0xfffff, 0xffff_ffff),
        ] as [(UInt32, UInt32, Int)])
    func deviceNumbers(_ major: UInt32, _ minor: UInt32, _ number: Int) throws {
        let image = ProgramImage(
            of: .device(
                .makeDevices(
                    directory: "/dev",
                    [
                        Device(
                            name: "x", mode: FileMode(.blockDevice, 0o600), major: major,
                            minor: minor)
                    ])))
        let operands = try #require(image.operands(of: "mknodat").first)
        #expect(operands[3].value == number)
        #expect(DeviceNumber.spelling(of: number) == "makedev(\(major), \(minor))")
        #expect(operands[2] == .named(FileMode(.blockDevice, 0o600)))
    }

    @Test("statfs begins with the type of the file system")
    func statfsOffset() throws {
        // glibc hides its structure from Swift: the kernel fills one in for a known file.
        var filled = [UInt64](repeating: .max, count: 32)
        let answer = filled.withUnsafeMutableBytes { buffer in
            "/proc\0".withCString { path in
                raw_system_call(
                    Int(__NR_statfs), Int(bitPattern: path), Int(bitPattern: buffer.baseAddress),
                    0, 0, 0, 0)
            }
        }
        #expect(answer == 0)
        #expect(filled[0] == UInt64(PROC_SUPER_MAGIC))
        #expect(filled.last == .max, "no more than 256 bytes are written")
        let image = ProgramImage(
            of: .terminal(
                .openTerminal(TerminalRequest(toConsoleSocket: false, mountsConsole: false))))
        let buffer = try #require(image.operands(of: "fstatfs").first?[1].offset)
        #expect(
            image.memoryTests == [
                MemoryTest(offset: buffer, mask: 0xffff_ffff, value: Int(DEVPTS_SUPER_MAGIC))
            ])
    }

    @Test("capset gets version 3: the low words of the three sets, then the high words")
    func capabilitySets() throws {
        let sets = CapabilitySets(
            effective: 0x1_0000_0002, permitted: 0x3_0000_0004, inheritable: 0x5_0000_0006)
        let image = ProgramImage(of: .identity(.setCapabilities(sets)))
        let operands = try #require(image.operands(of: "capset").first)
        let header = try image.structure(at: operands[0], as: __user_cap_header_struct.self)
        #expect(header.version == UInt32(_LINUX_CAPABILITY_VERSION_3))
        #expect(header.pid == 0)
        let halves = try image.structure(
            at: operands[1], as: (__user_cap_data_struct, __user_cap_data_struct).self)
        func whole(_ field: KeyPath<__user_cap_data_struct, UInt32>) -> UInt64 {
            UInt64(halves.0[keyPath: field]) | UInt64(halves.1[keyPath: field]) << 32
        }
        #expect(whole(\.effective) == sets.effective)
        #expect(whole(\.permitted) == sets.permitted)
        #expect(whole(\.inheritable) == sets.inheritable)
    }

    @Test("a second process is cloned with struct clone_args")
    func cloneArguments() throws {
        #expect(MemoryLayout<clinux_clone_args>.size == 88)
        let image = ProgramImage(of: .namespace(.continueInChild(intoCgroup: true)))
        let operands = try #require(image.operands(of: "clone3").first)
        #expect(operands[1] == .literal(88))
        let arguments = try image.structure(at: operands[0], as: clinux_clone_args.self)
        #expect(
            arguments.flags
                == UInt64(CLONE_PIDFD | CLONE_PARENT) | clinux_clone_into_cgroup)
        #expect(arguments.exit_signal == 0)
        #expect(arguments.stack == 0)
        let start = try #require(operands[0].offset)
        let cgroup = try #require(MemoryLayout<clinux_clone_args>.offset(of: \.cgroup))
        let copies = image.instructions.filter { instruction in
            if case .copy(_, to: .address(start + cgroup), width: 8) = instruction {
                true
            } else {
                false
            }
        }
        #expect(copies.count == 1)
    }

    @Test("a new terminal keeps the kernel's modes, including ONLCR, and gets the size")
    func terminalModes() throws {
        let image = ProgramImage(
            of: .terminal(
                .openTerminal(
                    TerminalRequest(
                        rows: 40, columns: 132, toConsoleSocket: true, mountsConsole: false)
                )))
        let calls = image.operands(of: "ioctl")
        let changes = [TCSETS, TCSETSW, TCSETSF].map(Int.init)
        #expect(!calls.contains { changes.contains($0[1].value ?? 0) })
        let resize = try #require(calls.first { $0[1].value == Int(TIOCSWINSZ) })
        let size = try image.structure(at: resize[2], as: clinux_winsize.self)
        #expect((size.ws_row, size.ws_col) == (40, 132))
        #expect((size.ws_xpixel, size.ws_ypixel) == (0, 0))
    }

    @Test("a terminal without a configured size keeps the kernel's size")
    func terminalWithoutSize() {
        let image = ProgramImage(
            of: .terminal(
                .openTerminal(TerminalRequest(toConsoleSocket: true, mountsConsole: false))))
        #expect(!image.operands(of: "ioctl").contains { $0[1].value == Int(TIOCSWINSZ) })
    }

    @Test("the terminal's master is sent in one SCM_RIGHTS message with one descriptor")
    func descriptorMessage() throws {
        let image = ProgramImage(
            of: .terminal(
                .openTerminal(TerminalRequest(toConsoleSocket: true, mountsConsole: false))))
        let operands = try #require(image.operands(of: "sendmsg").first)
        let start = try #require(operands[1].offset)
        let header = try image.structure(at: operands[1], as: msghdr.self)
        #expect(header.msg_iovlen == 1)
        #expect(header.msg_namelen == 0)
        let targets = Dictionary(
            image.relocations.map { ($0.at, $0.target) }, uniquingKeysWith: { one, _ in one })
        func target(of field: PartialKeyPath<msghdr>) throws -> Int {
            let offset = try #require(MemoryLayout<msghdr>.offset(of: field))
            return try #require(targets[start + offset])
        }
        let control = try target(of: \.msg_control)
        // struct cmsghdr: a length of 8 bytes, level, type, then the data.
        let message = try image.structure(at: .address(control), as: (UInt, CInt, CInt).self)
        #expect(MemoryLayout<cmsghdr>.offset(of: \.cmsg_level) == 8)
        #expect(MemoryLayout<cmsghdr>.offset(of: \.cmsg_type) == 12)
        let head = 16
        #expect(Int(message.0) == head + MemoryLayout<CInt>.size)
        #expect(message.1 == SOL_SOCKET)
        #expect(message.2 == 1, "SCM_RIGHTS")
        #expect(Int(header.msg_controllen) == head + 8)
        let copies = image.ofStep.compactMap { instruction -> Int? in
            guard case .copy(_, .address(let offset), 4) = instruction else { return nil }
            return offset
        }
        #expect(copies == [control + head])
        let vector = try image.structure(at: .address(try target(of: \.msg_iov)), as: iovec.self)
        #expect(vector.iov_len == "/dev/ptmx".utf8.count)
    }

    @Test("openat2 gets a struct open_how that confines the path to the root")
    func openHow() throws {
        let image = ProgramImage(of: .execution(.enterDirectory("/srv")))
        let operands = try #require(image.operands(of: "openat2").first)
        #expect(operands[3] == .literal(MemoryLayout<open_how>.size))
        let how = try image.structure(at: operands[2], as: open_how.self)
        #expect(how.flags == UInt64(0o10_000_000 | O_DIRECTORY | O_CLOEXEC))
        #expect(how.mode == 0)
        #expect(how.resolve == UInt64(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS))
        #expect(
            Resolution.noLinks.rawValue
                == Int(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS))
        #expect(
            Resolution.beneath.rawValue
                == Int(
                    RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)
        )
    }

    @Test("mount_setattr gets a struct mount_attr")
    func mountAttributes() throws {
        let image = ProgramImage(
            of: .root(
                .setRootPropagation(
                    MountPropagation(flag: .private, recursive: true, name: "rprivate"))))
        let operands = try #require(image.operands(of: "mount_setattr").first)
        #expect(operands[4] == .literal(MemoryLayout<mount_attr>.size))
        #expect(operands[2].value == Int(CLINUX_AT_EMPTY_PATH | CLINUX_AT_RECURSIVE))
        let attributes = try image.structure(at: operands[3], as: mount_attr.self)
        #expect(attributes.attr_set == 0 && attributes.attr_clr == 0)
        #expect(attributes.propagation == 1 << 18)
        #expect(attributes.userns_fd == 0)
    }

    @Test("seccomp gets a struct sock_fprog: a number of instructions and their address")
    func filterProgram() throws {
        let filter = (0..<24).map { UInt8($0) }
        let image = ProgramImage(of: .filter(.loadSeccomp(filter: filter, flags: .log)))
        let operands = try #require(image.operands(of: "seccomp").first)
        #expect(operands[0].value == Int(SECCOMP_SET_MODE_FILTER))
        #expect(operands[1] == .named(SeccompFilterFlags.log))
        let program = try image.structure(at: operands[2], as: sock_fprog.self)
        #expect(Int(program.len) == filter.count / MemoryLayout<sock_filter>.size)
        let start = try #require(operands[2].offset)
        let field = try #require(MemoryLayout<sock_fprog>.offset(of: \.filter))
        let target = try #require(image.relocations.first { $0.at == start + field }?.target)
        #expect(Array(image.data[target..<(target + 24)]) == filter)
    }

    @Test("the loopback interface is named and brought up with a struct ifreq")
    func interfaceRequest() throws {
        let image = ProgramImage(of: .namespace(.bringUpLoopback))
        let operands = try #require(image.operands(of: "ioctl").first)
        let start = try #require(operands[2].offset)
        // struct ifreq of linux/if.h: a name of 16 bytes, then a union of 24.
        let request = Array(image.data[start..<(start + 40)])
        #expect(Array(request.prefix(4)) == Array("lo\0\0".utf8))
        #expect(Int(request[16]) | Int(request[17]) << 8 == 0x1 | 0x40, "IFF_UP, IFF_RUNNING")
    }

    @Test("an instruction has no padding, and the progress page's words are where they are read")
    func machineLayout() {
        #expect(MemoryLayout<machine_instruction>.offset(of: \.ignored) == 8)
        #expect(MemoryLayout<machine_instruction>.offset(of: \.number) == 16)
        #expect(MemoryLayout<machine_instruction>.offset(of: \.operand) == 24)
        #expect(MemoryLayout<machine_instruction>.size == 24 + 6 * 8)
        #expect(MemoryLayout<machine_instruction>.stride == 24 + 6 * 8)
        #expect(MemoryLayout<machine_progress>.offset(of: \.index) == 0)
        #expect(MemoryLayout<machine_progress>.offset(of: \.error) == 4)
        #expect(
            MemoryLayout<machine_progress>.offset(of: \.init_word) == Sibling.first.wordOffset)
        #expect(
            MemoryLayout<machine_progress>.offset(of: \.second_word) == Sibling.second.wordOffset)
    }

    @Test(
        "the flag of a namespace is the one in the kernel's header",
        arguments: NamespaceKind.allCases)
    func cloneFlags(_ kind: NamespaceKind) {
        let flag: Int32 =
            switch kind {
            case .user: CLONE_NEWUSER
            case .pid: CLONE_NEWPID
            case .network: CLONE_NEWNET
            case .ipc: CLONE_NEWIPC
            case .uts: CLONE_NEWUTS
            case .mount: CLONE_NEWNS
            case .cgroup: CLONE_NEWCGROUP
            case .time: Int32(clinux_clone_newtime)
            }
        #expect(kind.cloneFlag.rawValue == Int(UInt32(bitPattern: flag)))
        #expect(access("/proc/self/ns/\(kind.procName)", F_OK) == 0)
    }
}
