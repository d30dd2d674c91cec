// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Testing

@Suite("A container that shares another's pid namespace", Host.root)
struct SharedNamespaceTests {
    /// Inspects all processes except itself and init, as an attacker would.
    private static let prying = """
        for p in /proc/[0-9]*; do
            n=${p##*/}
            [ $n = 1 ] || [ $n = $$ ] || [ ! -e $p ] && continue
            tr '\\0' '\\n' < $p/environ 2>/dev/null | grep SECRET
            for f in $p/fd/* $p/cwd $p/root $p/exe; do readlink $f 2>/dev/null; done
        done
        echo looked
        """

    @Test("a container in a shared pid namespace cannot inspect a waiting init (CVE-2016-9962)")
    func waitingInit() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let pid = try bundle.state().pid
            bundle.setNamespace(.pid, path: "/proc/\(pid)/ns/pid")
            let other = bundle.id + "-waits"
            var options = CommandOptions()
            options.environment = ["SECRET": "of-the-engine"]
            try bundle.create(id: other, options: options)
            let done = try bundle.swrunc("exec", bundle.id, "sh", "-c", Self.prying)
            #expect(done.output.lines == ["looked"], "\(done)")
        }
    }

    @Test(
        "a container in a shared pid namespace finds nothing of the host in inits (CVE-2024-21626)")
    func racingInits() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let pid = try bundle.state().pid
            let watching =
                "i=0; while [ $i -lt \(Host.rounds(150).count) ]; do i=$((i+1)); " + Self.prying
                + " ; done"
            let watcher = try bundle.start(["exec", bundle.id, "sh", "-c", watching])
            bundle.setNamespace(.pid, path: "/proc/\(pid)/ns/pid")
            let other = bundle.id + "-raced"
            for _ in Host.rounds(30) {
                try bundle.create(id: other)
                let gone = try bundle.swrunc("delete", "--force", other)
                #expect(gone.status == 0, "\(gone)")
            }
            let done = try watcher.wait()
            #expect(Set(done.output.lines) == ["looked"], "\(done.output.lines.prefix(20))")
        }
    }
}
