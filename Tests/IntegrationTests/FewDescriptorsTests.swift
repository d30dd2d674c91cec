// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import ContainerKitAsync
import Glibc
import SystemPackage
import Testing

@Suite("A host with few descriptors", Host.root, .patience)
struct FewDescriptorsTests {
    /// Sets the soft limit of open files, RLIMIT_NOFILE.
    private static func limitFiles(_ count: Int) {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(7), &limit)
        limit.rlim_cur = rlim_t(count)
        setrlimit(__rlimit_resource_t(7), &limit)
    }

    @Test("of a hundred launches in tasks with 64 descriptors, each ends or fails with a remedy")
    func hundred() async {
        await #expect(processExitsWith: .success) {
            try await TestBundle.useAsync { bundle in
                // Most of them run at the same time.
                let config = try bundle.running("cat; sleep 0.3; exit 4")
                let (store, id) = (bundle.containerStore, bundle.id)
                // What a process keeps open for ever is there after the first run.
                _ = try await withContainer(config, id: id, in: store)
                let descriptors = entries(of: "/proc/self/fd").count
                Self.limitFiles(64)
                let ended = await withTaskGroup(of: Int.self) { group in
                    for number in 0..<100 {
                        group.addTask {
                            do {
                                let result = try await withContainer(
                                    config, id: "\(id)-\(number)", in: store, input: .text("some"),
                                    output: .collected(limit: 10))
                                #expect(result.termination.status == .exited(4))
                                #expect(result.output?.text == "some")
                                #expect(result.statistics != nil)
                                return 1
                            } catch let error as ContainerError {
                                #expect(error.failure?.errno == .tooManyOpenFiles, "\(error)")
                                #expect(error.hint?.contains("RLIMIT_NOFILE") == true, "\(error)")
                            } catch {
                                Issue.record("\(error)")
                            }
                            return 0
                        }
                    }
                    return await group.reduce(0, +)
                }
                #expect(ended >= 1)
                #expect(try store.states().isEmpty)
                #expect(waits { entries(of: "/proc/self/fd").count <= descriptors })
                // One at a time, all of them work.
                for number in 0..<3 {
                    let last = try await withContainer(
                        config, id: "\(id)-\(number)", in: store, input: .text("some"),
                        output: .collected(limit: 10))
                    #expect(last.output?.text == "some")
                }
                Self.limitFiles(1024)
            }
        }
    }

    @Test("a launch with any limit of descriptors works, or fails with a remedy and leaves nothing")
    func anyLimit() async {
        await #expect(processExitsWith: .success) {
            try TestBundle.use { bundle throws in
                bundle.process.args = ["/bin/true"]
                let loaded = try bundle.loaded()
                let store = bundle.containerStore
                func launch() throws(ContainerError) {
                    let process = try Container.run(bundle.id, from: loaded, in: store)
                    Self.limitFiles(1024)
                    _ = try process.wait()
                    try store.container(bundle.id).delete()
                }
                try launch()
                let open = entries(of: "/proc/self/fd").count
                var works = 0
                for room in 0..<64 {
                    Self.limitFiles(open + room)
                    do throws(ContainerError) {
                        try launch()
                        works += 1
                        if works == 3 { break }
                    } catch {
                        Self.limitFiles(1024)
                        works = 0
                        #expect(error.failure?.errno == .tooManyOpenFiles, "\(room): \(error)")
                        #expect(error.hint?.contains("RLIMIT_NOFILE") == true, "\(room): \(error)")
                    }
                    #expect(entries(of: "/proc/self/fd").count <= open, "\(room)")
                    #expect(entries(of: bundle.store).isEmpty, "\(room)")
                    #expect(bundle.leftovers.found() == [], "\(room)")
                }
                Self.limitFiles(1024)
                #expect(works == 3)
            }
        }
    }
}
