// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText

extension Cgroup {
    /// The few values that people watch; `statistics` reads at least twice as many files.
    ///
    /// Kernel: cgroup-v2.rst, and for v1 the files of cpuacct, memory, blkio and pids.
    func usage() throws(CgroupError) -> CgroupUsage {
        let files = ControlFiles(layout: layout)
        var usage = CgroupUsage()
        if files.isUnified {
            usage.cpuNanoseconds = try files.line("", "cpu.stat")
                .flatMap { Self.number("usage_usec", in: $0) }.map { $0 &* 1000 }
        } else {
            usage.cpuNanoseconds = try files.wholeNumber("cpuacct", "cpuacct.usage")
        }
        try readMemory(files, into: &usage)
        usage.pids = try files.wholeNumber("pids", "pids.current")
        if let io = try BlockIOController.readBytes(files) {
            usage.readBytes = io.read
            usage.writtenBytes = io.written
        }
        // In hybrid mode the unified hierarchy has them too.
        usage.cpuPressure = try Self.pressure("cpu.pressure", files)
        usage.memoryPressure = try Self.pressure("memory.pressure", files)
        usage.ioPressure = try Self.pressure("io.pressure", files)
        return usage
    }

    private func readMemory(_ files: ControlFiles, into usage: inout CgroupUsage)
        throws(CgroupError)
    {
        let isUnified = files.isUnified
        guard
            let inUse = try files.wholeNumber(
                "memory", isUnified ? "memory.current" : "memory.usage_in_bytes")
        else { return }
        // `total_`: that of the whole subtree, as the usage is.
        let inactive = try files.text("memory", "memory.stat")
            .flatMap { Self.number(isUnified ? "inactive_file" : "total_inactive_file", in: $0) }
        usage.memoryBytes = inUse - min(inUse, inactive ?? 0)
        let limit = try files.wholeNumber(
            "memory", isUnified ? "memory.max" : "memory.limit_in_bytes")
        usage.memoryLimitBytes = Statistics.Amount(limit: limit ?? 0).limitIfAny
    }

    /// The number that follows a name at the beginning of a line.
    static func number(_ name: String, in text: [UInt8]) -> UInt64? {
        for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: name.utf8) {
            let rest = line.dropFirst(name.utf8.count)
            // A longer name begins with it.
            guard rest.first == UInt8(ascii: " ") else { continue }
            return UInt64(String(decoding: rest.dropFirst(), as: UTF8.self))
        }
        return nil
    }

    /// The `avg10` of the line `some`; nil where the kernel does not count pressure.
    private static func pressure(_ file: String, _ files: ControlFiles) throws(CgroupError)
        -> Double?
    {
        guard let text = try files.line("", file) else { return nil }
        let first = Array(text.prefix { $0 != UInt8(ascii: "\n") })
        return words(of: first).first { $0.begins(with: "avg10=") }
            .flatMap { Double($0.dropFirst("avg10=".utf8.count)) }
    }
}

extension ControlFiles {
    /// A file that one read returns whole.
    func line(_ controller: String, _ file: String) throws(CgroupError) -> [UInt8]? {
        try text(controller, file) { (path) throws(SystemCallError) in try readLine(path) }
    }

    /// The number in a file, as `number`, by one read.
    func wholeNumber(_ controller: String, _ file: String) throws(CgroupError) -> UInt64? {
        guard let text = try line(controller, file) else { return nil }
        let digits = String(decoding: text.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        return digits.isSame("max") ? .max : UInt64(digits)
    }
}

extension BlockIOController {
    /// The bytes read and written on all devices; nil where no file counts them.
    static func readBytes(_ files: ControlFiles) throws(CgroupError)
        -> (read: UInt64, written: UInt64)?
    {
        if files.isUnified {
            return try files.text("io", "io.stat").map { sums(in: $0, " rbytes=", " wbytes=") }
        }
        // As in `read`, the first that has data. A file without a line for a device tells nothing:
        // without a limit of I/O, Linux 6.18 counts in none of them.
        for prefix in ["blkio.bfq.", "blkio.throttle."] {
            guard let text = try files.text("blkio", prefix + "io_service_bytes_recursive"),
                text.first != UInt8(ascii: "T"), !text.isEmpty
            else { continue }
            return sums(in: text, " Read ", " Write ")
        }
        return nil
    }

    /// The sums of the numbers that follow each of two words, one of each on a line.
    static func sums(in text: [UInt8], _ read: String, _ written: String)
        -> (read: UInt64, written: UInt64)
    {
        var sums: (read: UInt64, written: UInt64) = (0, 0)
        for line in text.split(separator: UInt8(ascii: "\n")) {
            sums.read &+= number(after: read, in: line) ?? 0
            sums.written &+= number(after: written, in: line) ?? 0
        }
        return sums
    }

    private static func number(after word: String, in line: ArraySlice<UInt8>) -> UInt64? {
        var rest = line
        while !rest.isEmpty, !rest.starts(with: word.utf8) { rest = rest.dropFirst() }
        let digits = rest.dropFirst(word.utf8.count)
            .prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return UInt64(String(decoding: digits, as: UTF8.self))
    }
}
#endif
