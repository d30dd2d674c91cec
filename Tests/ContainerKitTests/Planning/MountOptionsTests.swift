// SPDX-License-Identifier: Apache-2.0

import KernelVocabulary
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("The options of a mount")
struct MountOptionsTests {
    @Test(
        "each mount option sets or clears its attribute",
        arguments: [
            ("ro", MountAttributes.readOnly, true),
            ("rw", .readOnly, false),
            ("nosuid", .noSetUserID, true),
            ("suid", .noSetUserID, false),
            ("nodev", .noDevices, true),
            ("dev", .noDevices, false),
            ("noexec", .noExecution, true),
            ("exec", .noExecution, false),
            ("nodiratime", .noDirectoryAccessTime, true),
            ("diratime", .noDirectoryAccessTime, false),
            ("nosymfollow", .noSymlinkFollowing, true),
            ("symfollow", .noSymlinkFollowing, false),
        ])
    func attributes(_ word: String, _ attribute: MountAttributes, _ isSet: Bool) {
        let change = MountAttributeChange(
            toSet: isSet ? attribute : .empty, toClear: isSet ? .empty : attribute)
        let plain = MountOptions([word])
        #expect(plain.attributes == change)
        #expect(plain.recursiveAttributes.isEmpty)
        #expect(plain.namesAnyAttribute)

        let recursive = MountOptions(["r" + word])
        #expect(recursive.recursiveAttributes == change)
        #expect(recursive.attributes.isEmpty)
        #expect(recursive.superblockFlags.isEmpty)
        #expect(!recursive.namesAnyAttribute)
        #expect(plain.filesystemOptions.isEmpty && recursive.filesystemOptions.isEmpty)
    }

    @Test(
        "the later of two contradicting mount options wins",
        arguments: [
            (["ro", "rw"], .empty, .readOnly),
            (["rw", "ro"], .readOnly, .empty),
            (["nosuid", "suid", "nosuid"], .noSetUserID, .empty),
            (["noexec", "nodev", "exec"], .noDevices, .noExecution),
        ] as [([String], MountAttributes, MountAttributes)])
    func conflicts(_ words: [String], _ toSet: MountAttributes, _ toClear: MountAttributes) {
        let expected = MountAttributeChange(toSet: toSet, toClear: toClear)
        #expect(MountOptions(words).attributes == expected)
        #expect(MountOptions(words.map { "r" + $0 }).recursiveAttributes == expected)
    }

    @Test(
        "setting an access time mode clears the whole group; the later mode wins",
        arguments: [
            (["noatime"], .noAccessTime, .noAccessTime),
            (["strictatime"], .strictAccessTime, .strictAccessTime),
            (["relatime"], .relativeAccessTime, .relativeAccessTime),
            (["noatime", "strictatime"], .strictAccessTime, .strictAccessTime),
            (["strictatime", "noatime"], .noAccessTime, .noAccessTime),
            (["noatime", "relatime"], .relativeAccessTime, .relativeAccessTime),
            (["atime"], nil, .relativeAccessTime),
            (["noatime", "atime"], nil, .relativeAccessTime),
            (["strictatime", "atime"], .strictAccessTime, .strictAccessTime),
            (["nostrictatime"], nil, .relativeAccessTime),
            (["strictatime", "nostrictatime"], nil, .relativeAccessTime),
            (["noatime", "nostrictatime"], .noAccessTime, .noAccessTime),
            (["noatime", "norelatime"], .noAccessTime, .noAccessTime),
            (["norelatime"], nil, nil),
            (["relatime", "norelatime"], nil, nil),
            (["nodev"], nil, nil),
        ] as [([String], MountAttributes?, MountAttributes?)])
    func accessTimes(_ words: [String], _ own: MountAttributes?, _ recursive: MountAttributes?) {
        for (change, mode) in [
            (MountOptions(words).attributes, own),
            (MountOptions(words.map { "r" + $0 }).recursiveAttributes, recursive),
        ] {
            #expect(change.accessTimeMode == mode)
            // mount_setattr(2) accepts only no flag or all flags of the group.
            let cleared = change.toClear.rawValue & MountAttributes.accessTimeMode.rawValue
            #expect(cleared == (mode == nil ? 0 : 0x70))
            #expect(change.toSet.rawValue & 0x70 == mode?.rawValue ?? 0)
        }
    }

    @Test(
        "a bind mount keeps its source's access times unless an option sets some, as in mount(8)",
        arguments: [
            (["dev"], .empty, .empty), (["atime"], .empty, .empty),
            (["norelatime"], .empty, .empty),
            (["nostrictatime", "diratime"], .empty, .empty),
            (["noatime", "atime"], .empty, .empty),
            (["relatime"], .empty, .accessTimeMode | .noDirectoryAccessTime),
            (["relatime", "diratime"], .empty, .accessTimeMode | .noDirectoryAccessTime),
            (["strictatime"], .strictAccessTime, .accessTimeMode | .noDirectoryAccessTime),
            (["nodiratime"], .noDirectoryAccessTime, .accessTimeMode),
            (["nodiratime", "norelatime"], .noDirectoryAccessTime, .accessTimeMode),
            (
                ["nodiratime", "strictatime"], .noDirectoryAccessTime | .strictAccessTime,
                .accessTimeMode
            ),
            (["nodiratime", "diratime"], .empty, .empty),
        ] as [([String], MountAttributes, MountAttributes)])
    func bindAccessTimes(_ words: [String], _ toSet: MountAttributes, _ toClear: MountAttributes) {
        let change = MountOptions(["bind"] + words).bindAttributes
        let times: MountAttributes = .accessTimeMode | .noDirectoryAccessTime
        #expect(change.toSet.intersection(times) == toSet)
        #expect(change.toClear.intersection(times) == toClear)
        #expect(change.toClear.contains(.readOnly))
    }

    @Test(
        "a bind mount keeps its source's attributes until an option names one",
        arguments: [
            (["rbind"], .empty, .empty),
            (["bind", "rprivate", "rro", "defaults"], .empty, .empty),
            (
                ["bind", "ro"], .readOnly,
                .noSetUserID | .noDevices | .noExecution | .noSymlinkFollowing
            ),
            (
                ["bind", "rw"], .empty,
                .readOnly | .noSetUserID | .noDevices | .noExecution | .noSymlinkFollowing
            ),
            (
                ["bind", "async"], .empty,
                .readOnly | .noSetUserID | .noDevices | .noExecution | .noSymlinkFollowing
            ),
            (
                ["bind", "nosuid", "nodev", "noexec", "ro", "nosymfollow", "noatime"],
                .readOnly | .noSetUserID | .noDevices | .noExecution | .noSymlinkFollowing
                    | .noAccessTime,
                .accessTimeMode | .noDirectoryAccessTime
            ),
        ] as [([String], MountAttributes, MountAttributes)])
    func bindAttributes(
        _ words: [String], _ toSet: MountAttributes, _ toClear: MountAttributes
    ) {
        let expected = MountAttributeChange(toSet: toSet, toClear: toClear)
        #expect(MountOptions(words).bindAttributes == expected)
    }

    @Test(
        "a mount is a bind mount by its options or its type",
        arguments: [
            (["bind"], nil, true, false),
            (["rbind"], "none", true, true),
            (["rbind", "bind"], "tmpfs", true, true),
            ([String](), "bind", true, false),
            (["ro"], "tmpfs", false, false),
        ] as [([String], String?, Bool, Bool)])
    func binds(_ words: [String], _ type: String?, _ isBind: Bool, _ isRecursive: Bool) {
        let options = MountOptions(words, type: type)
        #expect(options.isBind == isBind)
        #expect(options.isRecursiveBind == isRecursive)
    }

    @Test(
        "file system flags are passed to fsconfig(2), except those that only mount(2) knows",
        arguments: [
            (["sync"], ["sync"], .empty),
            (["ro", "lazytime", "dirsync"], ["ro", "dirsync", "lazytime"], .empty),
            (["mand"], ["mand"], .empty),
            (["rsync", "rdirsync", "rmand"], ["sync", "dirsync", "mand"], .empty),
            (["rsync", "rmand", "rasync", "rnomand"], [], .empty),
            (
                ["sync", "async", "lazytime", "nolazytime", "mand", "nomand", "ro", "rw"], [],
                .empty
            ),
            (["silent", "iversion"], [], .silent | .inodeVersion),
            (["silent", "iversion", "loud", "noiversion"], [], .empty),
        ] as [([String], [String], MountFlags)])
    func superblock(_ words: [String], _ names: [String], _ unnamed: MountFlags) {
        let options = MountOptions(words)
        #expect(options.superblockFlags.fsconfigNames == names)
        #expect(options.superblockFlags.intersection(.silent | .inodeVersion) == unnamed)
        #expect(options.namesAnyAttribute)
        #expect(options.filesystemOptions.isEmpty)
    }

    @Test("propagation options are kept in their order")
    func propagation() {
        let options = MountOptions(["rslave", "nosuid", "shared", "runbindable", "private"])
        #expect(
            options.propagation == [.recursivelySlave, .shared, .recursivelyUnbindable, .private])
        #expect(options.propagation.map(\.isRecursive) == [true, false, true, false])
        #expect(
            options.propagation.map(\.kernelValue) == [.slave, .shared, .unbindable, .private])
    }

    @Test("options for the runtime are not passed to the file system")
    func runtimeWords() {
        let options = MountOptions(["tmpcopyup", "remount", "ridmap", "defaults", "mode=755"])
        #expect(options.copiesUp)
        #expect(options.isRemount)
        #expect(options.idMapping == .tree)
        #expect(MountOptions(["idmap"]).idMapping == .mount)
        #expect(options.filesystemOptions == ["mode=755"])
        #expect(!options.namesAnyAttribute)
    }

    @Test(
        "file system options are split into parameters as the kernel splits them",
        arguments: [
            ("tmpfs", ["mode=755", "size=64k"], ["mode=755", "size=64k"]),
            ("devpts", ["newinstance", "ptmxmode=0666"], ["newinstance", "ptmxmode=0666"]),
            ("tmpfs", ["mode=755,size=64k,", "noswap"], ["mode=755", "size=64k", "noswap"]),
            ("tmpfs", [#"context="u:r:t:s0:c1,c2",size=1"#], ["context=u:r:t:s0:c1,c2", "size=1"]),
            ("overlay", [#"lowerdir=/a\,b:/c,index=on"#], [#"lowerdir=/a\,b:/c"#, "index=on"]),
            ("overlay", [#"lowerdir=/a\\,x"#], [#"lowerdir=/a\\"#, "x"]),
            ("ext4", [#"journal_path=/a\,b"#], [#"journal_path=/a\"#, "b"]),
            ("9p", ["trans=tcp", "a=b=c", "empty="], ["trans=tcp", "a=b=c", "empty="]),
        ] as [(String, [String], [String])])
    func filesystemParameters(_ type: String, _ words: [String], _ expected: [String]) {
        let parameters = MountOptions(words).filesystemParameters(type: type)
        let written = parameters.map { $0.key + ($0.value.map { "=" + $0 } ?? "") }
        #expect(written == expected)
    }

    @Test(
        "a source's attribute that a user namespace may not clear stays, unless an option names it",
        arguments: [
            (["bind", "nosuid"], .readOnly | .noExecution, .noSetUserID, .noDevices),
            (["bind", "ro"], .noSetUserID, .readOnly, .noDevices | .noExecution),
            (
                ["bind", "dev"], .readOnly | .noDirectoryAccessTime | .noSymlinkFollowing, .empty,
                .noSetUserID | .noDevices | .noExecution
            ),
            (
                ["bind", "noatime", "nosuid", "nodev", "noexec"], .readOnly | .noAccessTime,
                .noSetUserID | .noDevices | .noExecution, .empty
            ),
            (
                ["bind", "relatime", "nosuid", "nodev", "noexec"],
                .readOnly | .noDirectoryAccessTime,
                .noSetUserID | .noDevices | .noExecution, .empty
            ),
            (
                ["bind", "atime", "diratime", "nosuid", "nodev", "noexec"],
                .noAccessTime | .noDirectoryAccessTime,
                .noSetUserID | .noDevices | .noExecution, .empty
            ),
        ] as [([String], MountAttributes, MountAttributes, MountAttributes)])
    func lockedAttributes(
        _ words: [String], _ locked: MountAttributes, _ toSet: MountAttributes,
        _ toClear: MountAttributes
    ) throws {
        let (change, withoutEffect) = MountOptions(words).bindAttributes(keeping: locked)
        #expect(withoutEffect == [])
        #expect(change.toSet == toSet)
        // Not locked.
        #expect(change.toClear.subtracting(.noSymlinkFollowing).subtracting(.readOnly) == toClear)
    }

    @Test(
        "a mount option that would clear a locked attribute has no effect and is reported",
        arguments: [
            (["bind", "rw"], .readOnly, "rw"), (["bind", "suid"], .noSetUserID, "suid"),
            (["bind", "dev"], .noDevices, "dev"), (["bind", "exec"], .noExecution, "exec"),
            (["bind", "strictatime"], .noAccessTime, "access times"),
            (["bind", "relatime", "diratime"], .noDirectoryAccessTime, "access times"),
            (["bind", "relatime"], .noAccessTime, "access times"),
            (["bind", "nodiratime"], .empty, "access times"),
        ] as [([String], MountAttributes, String)])
    func attributesWithoutEffect(_ words: [String], _ locked: MountAttributes, _ text: String) {
        let (change, withoutEffect) = MountOptions(words).bindAttributes(keeping: locked)
        #expect(withoutEffect.count == 1 && withoutEffect[0].contains(text))
        #expect(change.toClear.isDisjoint(with: locked))
        #expect(change.toSet.isDisjoint(with: .accessTimeMode | .noDirectoryAccessTime))
    }

    @Test("the known mount options are those of the specification, sorted and without duplicates")
    func knownWords() {
        // Spec: config.md, Linux mount options; eight are crun's. idmap and ridmap have their own
        // field.
        let expected = """
            async atime bind copy-symlink defaults dest-nofollow dev diratime dirsync exec iversion
            lazytime loud mand noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid
            nosymfollow private rasync ratime rbind rdev rdiratime rdirsync relatime remount rexec rmand rnoatime rnodev
            rnodiratime rnoexec rnomand rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime
            rro rrw rshared rslave rstrictatime rsuid rsymfollow rsync runbindable rw shared silent slave
            src-nofollow strictatime suid symfollow sync tmpcopyup unbindable
            """
        let words = expected.split(whereSeparator: \.isWhitespace).map(String.init)
        #expect(MountOptionWords.known == words)
        for word in words + ["idmap", "ridmap"] {
            #expect(MountOptions([word]).filesystemOptions.isEmpty, "\(word)")
        }
    }
}
