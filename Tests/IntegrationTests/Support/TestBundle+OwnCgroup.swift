// SPDX-License-Identifier: Apache-2.0

import ContainerKit

extension TestBundle {
    /// Gives a cgroup to be adopted by a test's containers, with the options for that, and removes it
    /// after the test.
    static func useOwnCgroup(
        _ body: (TestBundle, ControlGroup, LaunchOptions) throws -> Void
    ) throws {
        try use { bundle throws in
            let group = try ControlGroup.create("/\(bundle.token)-own")
            defer {
                for id in entries(of: bundle.store) {
                    _ = try? bundle.swrunc("delete", "--force", id)
                }
                try? group.kill()
                try? group.remove()
            }
            var options = LaunchOptions()
            options.adoptedCgroup = try group.adopted
            bundle.linux.resources = nil
            try body(bundle, group, options)
        }
    }

    /// Starts the container through the library.
    func launch(_ options: LaunchOptions, _ id: String? = nil) throws -> ContainerProcess {
        try Container.run(id ?? self.id, from: loaded(), in: containerStore, options: options)
    }
}
