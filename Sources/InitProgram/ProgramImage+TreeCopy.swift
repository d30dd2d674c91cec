// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary

extension ProgramImage {
    /// A process that enters the container's cgroups and copies a directory there.
    ///
    /// It ends with the thread that started it.
    ///
    /// - Parameters:
    ///   - parent: the ID of its parent process.
    ///   - entrances: the number of cgroup v1 `tasks` files through which it enters.
    ///   - owner: the owner of the target directory itself; nil leaves it unchanged.
    ///   - group: the group of the target directory itself; nil leaves it unchanged.
    ///   - mode: the mode of the target directory itself; nil leaves it unchanged.
    /// - Returns: the program; `.copySource` and `.copyTarget` are among its inputs.
    package static func treeCopy(
        by parent: Int32, entrances: Int, owner: UInt32?, group: UInt32?, mode: UInt16?
    ) -> ProgramImage {
        var code = Assembler()
        code.endWithParent(parent)
        for index in 0..<entrances {
            code.call(
                .write,
                [.cell(code.input(.cgroupTasks(index))), code.text("0"), .literal(1)],
                retries: 1000)
        }
        // -1 leaves a value unchanged; the kernel's IDs have 32 bits.
        let words = [owner, group, mode.map(UInt32.init)].map { $0.map(UInt64.init) ?? .max }
        let order = code.words([0, 0] + words)
        // Opened for reading here: on a file system that does not answer, this process waits, not the
        // runtime.
        let source = code.cell("directory")
        code.open(
            code.text("."), at: .cell(code.input(.copySource)), .readOnly | .directory, into: source
        )
        code.copy(source, to: order, width: 8)
        code.copy(code.input(.copyTarget), to: order + 8, width: 8)
        code.copyTree(order: order)
        code.call(.exitGroup, [.literal(0)])
        _ = code.reserve(8)
        return code.image
    }
}
#endif
