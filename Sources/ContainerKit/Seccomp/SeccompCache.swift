// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// Compiled filters of long profiles, kept in the store's directory for the next launch.
///
/// Nearly every container of a host has the same profile, and to compile it is more work than all the
/// rest of a launch. An entry has the profile itself beside the program, and is taken only where that
/// is the same, byte for byte. Its place is one of a few, by a hash: what is there is replaced, so
/// that the cache never grows beyond them.
///
/// The entries are files of the store itself, not of a directory in it: runc, which may share the store,
/// takes each directory for a container.
struct SeccompCache: Sendable {
    /// What the names of the files begin with; no container can have such a name.
    static let namePrefix = "@seccomp-"
    /// How many entries there are at most; each has some ten kilobytes.
    private static let slotCount: UInt64 = 16
    /// Shorter profiles are compiled sooner than they are looked up.
    private static let leastNameCount = 32
    /// Raised when entries are written otherwise, or filters compiled otherwise.
    private static let version = 1

    private let store: String
    /// Whether new filters are kept, too.
    var keeps = true

    /// The cache of the store in this directory.
    init(in store: String) {
        self.store = store
    }

    /// The filter of a profile, from the cache or compiled and kept.
    func filter(of profile: Seccomp) throws(SeccompError) -> SeccompFilter {
        guard let key = Self.key(of: profile) else { return try SeccompFilter(compiling: profile) }
        let name = Self.slot(of: key)
        if let place = try? openStore(), let kept = try? contents(of: name, in: place.number),
            let filter = Self.filter(in: kept, for: key)
        {
            return filter
        }
        let filter = try SeccompFilter(compiling: profile)
        // Without room for it, or the right to write, the next launch compiles again.
        if keeps { try? keep(Self.entry(filter, key), as: name) }
        return filter
    }

    /// Opens the store; in one that others may write to, or have made, nothing is ours for sure: who could
    /// put a filter there could open a container.
    private func openStore() throws(SystemCallError) -> OwnedDescriptor {
        let place = try openFile(store, .pathOnly | .directory)
        guard Self.isOwn(try status(of: place.number)) else {
            throw SystemCallError("openat", "\"\(store)\"", errno: .notPermitted)
        }
        return place
    }

    private func contents(of name: String, in place: CInt) throws(SystemCallError) -> [UInt8] {
        let file = try openFile(name, .readOnly | .noFollow | .nonBlocking, at: place)
        let found = try status(of: file.number)
        // A regular file of that one name.
        guard Self.isOwn(found), found.kind == .regular, found.stx_nlink == 1 else {
            throw SystemCallError("openat", "\"\(store)/\(name)\"", errno: .notPermitted)
        }
        return try readFile(file.number, limitBytes: 1 << 20, named: "\"\(store)/\(name)\"")
    }

    /// Whether it is this user's, and nobody else may write to it.
    private static func isOwn(_ status: clinux_statx) -> Bool {
        status.stx_uid == effectiveUserID && status.stx_mode & 0o022 == 0
    }

    // MARK: The key

    /// Everything that the filter depends on; nil for a profile that is not cached.
    private static func key(of profile: Seccomp) -> [UInt8]? {
        let nameCount = (profile.syscalls ?? []).reduce(0) { $0 + $1.names.count }
        // Whether the kernel has this flag is asked for each time.
        let asksKernel = profile.flags?.contains(.waitKillableReceive) == true
        guard nameCount >= leastNameCount, !asksKernel else { return nil }
        var profile = profile
        // Where the listener is plays no part in the filter.
        profile.listenerPath = nil
        profile.listenerMetadata = nil
        let versions = """
            \(version) \(RuntimeVersion.string) \(RuntimeVersion.commit) \(libseccompVersion())

            """
        let spec = Spec(ociVersion: "", linux: Linux(seccomp: profile))
        return Array(versions.utf8) + spec.encoded.encoded()
    }

    /// FNV-1a: nothing rests on it but the place.
    private static func slot(of key: [UInt8]) -> String {
        let hash = key.reduce(into: 0xcbf2_9ce4_8422_2325 as UInt64) { hash, byte in
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return namePrefix + String(hash % slotCount, radix: 16)
    }

    // MARK: An entry

    // A line with the lengths of key and program and the flags; the key; the program; the names that
    // nobody knew, each with a line end.

    static func entry(_ filter: SeccompFilter, _ key: [UInt8]) -> [UInt8] {
        let head = "\(key.count) \(filter.program.count) \(filter.flags.rawValue)\n"
        let names = filter.unknownSystemCalls.map { "\($0)\n" }.joined()
        return Array(head.utf8) + key + filter.program + Array(names.utf8)
    }

    /// Nil for another profile's entry, and for one that is not whole.
    static func filter(in entry: [UInt8], for key: [UInt8]) -> SeccompFilter? {
        guard let end = entry.firstIndex(of: UInt8(ascii: "\n")), end < 100 else { return nil }
        let numbers = String(decoding: entry[..<end], as: UTF8.self).split(separator: " ")
            .compactMap { UInt($0) }
        guard numbers.count == 3, numbers[0] == UInt(key.count), numbers[1] < 1 << 24 else {
            return nil
        }
        let program = end + 1 + key.count
        let names = program + Int(numbers[1])
        guard entry.count >= names, entry[(end + 1)..<program].elementsEqual(key),
            numbers[1] > 0, numbers[1] % UInt(FilterInstruction.sizeBytes) == 0,
            names == entry.count || entry.last == UInt8(ascii: "\n")
        else { return nil }
        return SeccompFilter(
            program: Array(entry[program..<names]),
            flags: SeccompFilterFlags(rawValue: Int(numbers[2])),
            unknownSystemCalls: entry[names...].split(separator: UInt8(ascii: "\n")).map {
                String(decoding: $0, as: UTF8.self)
            })
    }

    /// Whole or not at all: a reader may come at any time.
    ///
    /// Two writers of one place: the second gives up. What a killed one left is removed by the next.
    private func keep(_ entry: [UInt8], as name: String) throws(SystemCallError) {
        // The first container of a store makes it, after this.
        let place = try openStore()
        let temporary = "\(name).new"
        do throws(SystemCallError) {
            let file = try openFile(
                temporary, .writeOnly | .create | .exclusive, at: place.number, mode: 0o600)
            try writeAll(entry, to: file.number, named: "\"\(store)/\(temporary)\"")
            try renameFile(temporary, to: name, at: place.number)
        } catch {
            try? removeFile(temporary, at: place.number)
            throw error
        }
    }
}
