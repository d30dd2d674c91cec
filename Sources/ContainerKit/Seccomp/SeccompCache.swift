// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// A cache of compiled filters for long profiles, in the store's directory.
///
/// Nearly all containers of a host have the same profile, and compiling it takes longer than the
/// rest of a launch. An entry contains the profile itself as well as the program, and is used only
/// if the profile matches byte for byte. A hash selects one of a few slots, whose old entry is
/// replaced, so that the cache has a fixed size.
///
/// The entries are files in the store's directory itself: runc, which may share the store, takes
/// every directory in it for a container.
struct SeccompCache: Sendable {
    /// The prefix of the files' names; no container can have such a name.
    static let namePrefix = "@seccomp-"
    /// The number of entries; each has some ten kilobytes.
    private static let slotCount: UInt64 = 16
    /// For shorter profiles, compiling is faster than a lookup.
    private static let leastNameCount = 32
    /// To be raised when the format of entries or the compilation changes.
    private static let version = 1

    private let store: String
    /// Whether new filters are stored, too.
    var keeps = true

    /// The cache of the store at this path.
    init(in store: String) {
        self.store = store
    }

    /// The filter of a profile, from the cache, or compiled and stored.
    func filter(of profile: Seccomp) throws(SeccompError) -> SeccompFilter {
        guard let key = Self.key(of: profile) else { return try SeccompFilter(compiling: profile) }
        let name = Self.slot(of: key)
        if let place = try? openStore(), let kept = try? contents(of: name, in: place.number),
            let filter = Self.filter(in: kept, for: key)
        {
            return filter
        }
        let filter = try SeccompFilter(compiling: profile)
        // If storing fails for lack of space or rights, the next launch compiles again.
        if keeps { try? keep(Self.entry(filter, key), as: name) }
        return filter
    }

    /// Opens the store, unless others own it or may write to it: whoever could place a filter there
    /// could weaken a container.
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
        // It must be a regular file with no other name.
        guard Self.isOwn(found), found.kind == .regular, found.stx_nlink == 1 else {
            throw SystemCallError("openat", "\"\(store)/\(name)\"", errno: .notPermitted)
        }
        return try readFile(file.number, limitBytes: 1 << 20, named: "\"\(store)/\(name)\"")
    }

    /// Whether the file is this user's and nobody else may write to it.
    private static func isOwn(_ status: clinux_statx) -> Bool {
        status.stx_uid == effectiveUserID && !status.isWritableByOthers
    }

    // MARK: The key

    /// Everything that the filter depends on; nil if the profile is not cached.
    private static func key(of profile: Seccomp) -> [UInt8]? {
        let nameCount = (profile.syscalls ?? []).reduce(0) { $0 + $1.names.count }
        // This flag depends on the kernel, which is asked each time.
        let asksKernel = profile.flags?.contains(.waitKillableReceive) == true
        guard nameCount >= leastNameCount, !asksKernel else { return nil }
        var profile = profile
        // The listener's path does not affect the filter.
        profile.listenerPath = nil
        profile.listenerMetadata = nil
        let versions = """
            \(version) \(RuntimeVersion.string) \(RuntimeVersion.commit) \(libseccompVersion())

            """
        let spec = Spec(ociVersion: "", linux: Linux(seccomp: profile))
        return Array(versions.utf8) + spec.encoded.encoded()
    }

    /// An FNV-1a hash, which only selects the slot.
    private static func slot(of key: [UInt8]) -> String {
        let hash = key.reduce(into: 0xcbf2_9ce4_8422_2325 as UInt64) { hash, byte in
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return namePrefix + String(hash % slotCount, radix: 16)
    }

    // MARK: An entry

    // The format: a line with the lengths of key and program and the flags; the key; the program;
    // the unknown names, each followed by a newline.

    static func entry(_ filter: SeccompFilter, _ key: [UInt8]) -> [UInt8] {
        let head = "\(key.count) \(filter.program.count) \(filter.flags.rawValue)\n"
        let names = filter.unknownSystemCalls.map { "\($0)\n" }.joined()
        return Array(head.utf8) + key + filter.program + Array(names.utf8)
    }

    /// The filter of an entry; nil if it is for another profile or incomplete.
    static func filter(in entry: [UInt8], for key: [UInt8]) -> SeccompFilter? {
        guard let end = entry.firstIndex(of: UInt8(ascii: "\n")), end < 100 else { return nil }
        let numbers = String(decoding: entry[..<end], as: UTF8.self).split(separator: " ")
            .compactMap { UInt($0) }
        guard numbers.count == 3, numbers[0] == UInt(key.count), numbers[1] < 1 << 24,
            let flags = Int(exactly: numbers[2])
        else { return nil }
        let program = end + 1 + key.count
        let names = program + Int(numbers[1])
        guard entry.count >= names, entry[(end + 1)..<program].elementsEqual(key),
            numbers[1] > 0, numbers[1] % UInt(FilterInstruction.sizeBytes) == 0,
            names == entry.count || entry.last == UInt8(ascii: "\n")
        else { return nil }
        return SeccompFilter(
            program: Array(entry[program..<names]),
            flags: SeccompFilterFlags(rawValue: flags),
            unknownSystemCalls: entry[names...].split(separator: UInt8(ascii: "\n")).map {
                String(decoding: $0, as: UTF8.self)
            })
    }

    /// Stores an entry atomically, since others may read it at any time.
    ///
    /// If two processes store to one slot, the second gives up. The next one removes what a killed
    /// one left.
    private func keep(_ entry: [UInt8], as name: String) throws(SystemCallError) {
        // If the store does not exist yet, this fails; the store's first container makes it later.
        let place = try openStore()
        let temporary = "\(name).new"
        try completing(temporary, as: name, at: place.number) { () throws(SystemCallError) in
            let file = try openFile(
                temporary, .writeOnly | .create | .exclusive, at: place.number, mode: 0o600)
            try writeAll(entry, to: file.number, named: "\"\(store)/\(temporary)\"")
        }
    }
}
#endif
