// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import RuntimeSpec
import Testing

extension MountTests {
    @Test(
        "a bind mount has its source's access times unless an option sets others",
        arguments: [
            ([], ["noatime"]), (["ro"], ["noatime"]), (["atime"], ["noatime"]),
            (["norelatime"], ["noatime"]), (["relatime"], ["relatime"]),
            (["nodiratime"], ["relatime", "nodiratime"]), (["strictatime"], []),
            (["nodiratime", "strictatime"], ["nodiratime"]), (["ratime"], ["relatime"]),
        ] as [([String], [String])])
    func sourceAccessTimes(_ named: [String], _ expected: [String]) throws {
        try TestBundle.use { bundle throws in
            let data = "\(bundle.directory)/data"
            try makeDirectory(data)
            try check(mount("tmpfs", data, "tmpfs", UInt(MS_NOATIME), nil), "mount")
            defer { umount2(data, CInt(MNT_DETACH)) }
            bundle.spec.mounts?.append(
                Mount(destination: "/data", source: data, options: ["bind"] + named))
            let options = try #require(try mounts(bundle)["/data"]?.options)
            let times = ["noatime", "relatime", "nodiratime"].filter(options.contains)
            #expect(times == expected, "\(options)")
        }
    }
}
