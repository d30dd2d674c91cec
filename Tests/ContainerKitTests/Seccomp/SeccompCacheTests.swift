// SPDX-License-Identifier: Apache-2.0

import Foundation
import KernelVocabulary
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("The cache of compiled filters")
struct SeccompCacheTests {
    /// A long profile that contains an unknown name.
    private func profile(_ action: Seccomp.Action = .allow, count: Int = 40) -> Seccomp {
        let names = [
            "read", "write", "open", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap",
            "mprotect", "munmap", "brk", "rt_sigaction", "rt_sigprocmask", "ioctl", "pread64",
            "pwrite64", "readv", "writev", "access", "pipe", "select", "sched_yield", "mremap",
            "msync", "mincore", "madvise", "shmget", "shmat", "shmctl", "dup", "dup2", "pause",
            "nanosleep", "getitimer", "alarm", "setitimer", "getpid", "of_tomorrow",
        ]
        return Seccomp(
            defaultAction: .errno, architectures: [.x86_64, .x86],
            syscalls: [SeccompRule(names: Array(names.suffix(count)), action: action)])
    }

    private func withStore(_ body: (String) throws -> Void) throws {
        let directory = try TemporaryDirectory()
        try withExtendedLifetime(directory) { try body(directory.path) }
    }

    private func entries(_ store: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: store)) ?? []
    }

    @Test("a cached filter equals the compiled one, and is used the next time")
    func roundTrip() throws {
        try withStore { store in
            let cache = SeccompCache(in: store)
            let compiled = try SeccompFilter(compiling: profile())
            #expect(compiled.unknownSystemCalls == ["of_tomorrow"])
            #expect(try cache.filter(of: profile()) == compiled)
            let name = try #require(entries(store).first)
            #expect(entries(store).count == 1)

            // A different program in the entry proves that the entry is used.
            let path = "\(store)/\(name)"
            var bytes = try [UInt8](Data(contentsOf: URL(filePath: path)))
            let program = bytes.count - "of_tomorrow\n".utf8.count - compiled.program.count
            bytes[program + 4] ^= 1
            try Data(bytes).write(to: URL(filePath: path))
            #expect(try cache.filter(of: profile()) != compiled)

            var elsewhere = profile()
            elsewhere.listenerPath = "/x"
            elsewhere.listenerMetadata = "y"
            #expect(try cache.filter(of: elsewhere) == cache.filter(of: profile()))
        }
    }

    @Test("a cache entry is used only for exactly the same profile, and only if complete")
    func otherKeys() throws {
        let filter = SeccompFilter(
            program: [UInt8](0..<16), flags: .log, unknownSystemCalls: ["a", "b"])
        let entry = SeccompCache.entry(filter, Array("key".utf8))
        #expect(SeccompCache.filter(in: entry, for: Array("key".utf8)) == filter)
        #expect(SeccompCache.filter(in: entry, for: Array("kez".utf8)) == nil)
        #expect(SeccompCache.filter(in: entry, for: Array("ke".utf8)) == nil)
        for count in 0..<entry.count {
            let part = SeccompCache.filter(in: Array(entry.prefix(count)), for: Array("key".utf8))
            // An entry without names, and one with only the first, is valid, too.
            #expect(part == nil || part?.program == filter.program, "\(count) bytes")
        }
        for text in [
            "", "\n", "3 x 1\nkey", "3 16\nkey", "3 99999999999 0\nkey", "-3 16 0\n",
            "3 8 18446744073709551615\nkey--------",
        ] {
            #expect(SeccompCache.filter(in: Array(text.utf8), for: Array("key".utf8)) == nil)
        }
    }

    @Test("short profiles, profiles that are only explained and invalid ones are not cached")
    func notKept() throws {
        try withStore { store in
            var cache = SeccompCache(in: store)
            _ = try cache.filter(of: profile(count: 31))
            var wrong = profile()
            wrong.defaultAction = .notify
            #expect(throws: SeccompError.self) { try cache.filter(of: wrong) }
            cache.keeps = false
            _ = try cache.filter(of: profile())
            #expect(entries(store).isEmpty)
        }
    }

    @Test("a store that does not exist or is not writable is no error of the cache")
    func noStore() throws {
        let cache = SeccompCache(in: "/proc/no/such/store")
        #expect(try cache.filter(of: profile()) == SeccompFilter(compiling: profile()))
    }

    @Test("the leftover of a killed writer does not block a cache entry for ever")
    func leftovers() throws {
        try withStore { store in
            let cache = SeccompCache(in: store)
            _ = try cache.filter(of: profile())
            let name = try #require(entries(store).first)
            let path = "\(store)/\(name)"
            try FileManager.default.moveItem(atPath: path, toPath: "\(path).new")
            _ = try cache.filter(of: profile())
            _ = try cache.filter(of: profile())
            #expect(entries(store) == [name])
        }
    }

    @Test("a cache entry that others may write to, or placed under another name, is not used")
    func otherWriters() throws {
        try withStore { store in
            var cache = SeccompCache(in: store)
            let filter = try cache.filter(of: profile())
            let name = try #require(entries(store).first)
            let path = "\(store)/\(name)"
            // The entry of this profile, but with a program that allows everything.
            var planted = try [UInt8](Data(contentsOf: URL(filePath: path)))
            let whole = try #require(planted.firstRange(of: filter.program))
            planted.replaceSubrange(whole, with: [UInt8](repeating: 0, count: whole.count))
            try Data(planted).write(to: URL(filePath: path))
            #expect(try cache.filter(of: profile()) != filter, "it is what would be taken")
            // A rejected entry is compiled anew, and replaced if possible.
            cache.keeps = false
            for (place, mode) in [(store, 0o777), (path, 0o666)] as [(String, mode_t)] {
                var before = stat()
                try #require(stat(place, &before) == 0)
                chmod(place, mode)
                #expect(try cache.filter(of: profile()) == filter, "\(place)")
                chmod(place, before.st_mode & 0o7777)
            }
            #expect(try cache.filter(of: profile()) != filter)
            link(path, "\(store)/second")
            #expect(try cache.filter(of: profile()) == filter, "it has a second name")
            unlink(path)
            symlink("second", path)
            #expect(try cache.filter(of: profile()) == filter, "it is a link")
            unlink(path)
            mkfifo(path, 0o600)
            #expect(try cache.filter(of: profile()) == filter, "it is a pipe")
        }
    }

    @Test("the number of cache entries stays small, however many profiles there are")
    func bounded() throws {
        try withStore { store in
            let cache = SeccompCache(in: store)
            for number in 0..<60 {
                var profile = profile()
                profile.defaultErrnoRet = UInt(number)
                _ = try cache.filter(of: profile)
            }
            #expect((8...16).contains(entries(store).count))
        }
    }
}
