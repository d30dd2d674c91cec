// SPDX-License-Identifier: Apache-2.0

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// The size of a terminal, in characters.
struct TerminalSize: Equatable {
    var columns: Int
    /// 0 if it is not known.
    var rows: Int

    /// The size of the terminal behind a descriptor; nil if there is none, or it has no size.
    init?(of descriptor: CInt) {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return nil
        }
        columns = Int(size.ws_col)
        rows = Int(size.ws_row)
    }
}
