// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary

/// The modes of a terminal.
///
/// The layout is that of the kernel's `struct termios` (asm-generic/termbits.h), which differs from
/// the C library's.
struct TerminalModes {
    var input: UInt32 = 0
    var output: UInt32 = 0
    var control: UInt32 = 0
    var local: UInt32 = 0
    var lineDiscipline: UInt8 = 0
    var characters: InlineArray<19, UInt8> = .init(repeating: 0)
}

/// Makes an ioctl(2) of a terminal; returns whether it succeeded.
func terminalCall<Value>(_ descriptor: CInt, _ request: Int32, _ value: inout Value) -> Bool {
    withUnsafeMutablePointer(to: &value) {
        raw_system_call(
            Int(__NR_ioctl), Int(descriptor), Int(request), Int(bitPattern: $0), 0, 0, 0) == 0
    }
}

/// Sets the size of a terminal, in characters; its size in pixels is not known.
///
/// Kernel: ioctl_tty(2), TIOCSWINSZ, struct winsize.
func setWindowSize(of terminal: CInt, rows: UInt16, columns: UInt16) throws(SystemCallError) {
    var size: (rows: UInt16, columns: UInt16, width: UInt16, height: UInt16) = (
        rows, columns, 0, 0
    )
    try withAddress(of: &size) { (address) throws(SystemCallError) in
        _ = try systemCall(
            "ioctl", __NR_ioctl, Int(terminal), DeviceRequest.setWindowSize.rawValue, address,
            describing: "\(terminal), \(DeviceRequest.setWindowSize), \(rows) by \(columns)")
    }
}

/// Whether a descriptor is a terminal.
func isTerminal(_ descriptor: CInt) -> Bool {
    var modes = TerminalModes()
    return terminalCall(descriptor, TCGETS, &modes)
}
#endif
