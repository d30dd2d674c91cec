// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// What to do about a violation, by the words of its message.
enum Hint {
    /// For an error of which nothing better is known.
    static let fallback = "compare it with this section"

    /// A hint for an error that has none of its own; nil if nothing is known.
    static func text(for error: SpecError) -> String? {
        if let word = nearestWord(error.message) { return word }
        if let type = rightType(error.message) { return type }
        if let namespace = neededNamespace(error.message) { return namespace }
        return hints.first { error.message.holds($0.part) }?.hint
    }

    /// For `"nett" is not a namespace type (mount, pid, network)` the nearest word of the list.
    private static func nearestWord(_ message: String) -> String? {
        guard message.hasPrefix("\""), message.hasSuffix(")"),
            message.holds("\" is not a"), let open = message.lastIndex(of: "("),
            let close = message.dropFirst().firstIndex(of: "\"")
        else { return nil }
        let word = String(message[message.index(after: message.startIndex)..<close])
        let list = message[message.index(after: open)...].dropLast()
        let known = list.split(separator: ",").map { String($0.drop { $0 == " " }) }
        guard known.count > 1 else { return nil }
        return NearestWord.of(word, in: known).map { "did you mean \($0)?" }
            ?? "use one of these words"
    }

    /// For `found a string, expected an integer` what to write.
    private static func rightType(_ message: String) -> String? {
        let middle = ", expected "
        guard message.hasPrefix("found "), let place = message.place(of: middle) else { return nil }
        let found = message[..<place].dropFirst("found ".count)
        let expected = String(message[place...].dropFirst(middle.count))
        switch (found, expected) {
        case ("a string", "an integer"), ("a string", "true or false"):
            return "leave out the quotes"
        case ("a number", "a string"), ("a boolean", "a string"): return "put it in double quotes"
        case ("a string", _) where expected.hasPrefix("an array of strings"):
            return "put it in brackets: [\"...\"]"
        case ("an object", _) where expected.hasPrefix("an array of objects"):
            return "put it in brackets: [{...}]"
        default: return "write \(expected)"
        }
    }

    /// For `needs a uts namespace in linux.namespaces` the entry to add.
    private static func neededNamespace(_ message: String) -> String? {
        for kind in Namespace.Kind.allCases {
            let name = kind.rawValue
            let parts = [
                "needs a \(name) namespace", "needs a new \(name) namespace",
                "host's \(name) namespace",
            ]
            if parts.contains(where: { message.holds($0) }) {
                return "add {\"type\": \"\(name)\"} to linux.namespaces, or remove the field"
            }
        }
        if message.holds("NET namespace") {
            return "add {\"type\": \"network\"} to linux.namespaces, or remove the field"
        }
        return nil
    }

    /// The first entry whose part is in the message.
    private static let hints: [(part: String, hint: String)] = [
        ("is missing", "add it: the specification requires it there"),
        ("must be present", "add it: the specification requires it"),
        ("is not an absolute path", "begin the path with /"),
        ("is out of range", "choose a number in the range"),
        ("is not a weight", "choose a number in the range"),
        (
            "for a new user namespace",
            "map at least {\"containerID\": 0, \"hostID\": ..., \"size\": ...}"
        ),
        ("for a bind mount", "name what is to be bound"),
        ("must not be empty for SCMP_ACT_NOTIFY", "name the socket of the listener"),
        ("must not be empty for", "list the nodes, such as 0-3"),
        ("must not be empty", "fill it in"),
        ("must be empty, no flags", "remove the flags"),
        ("must be empty for", "remove the nodes, or choose another mode"),
        ("is longer than", "shorten it"),
        ("contains a NUL character", "remove \\u0000: the kernel's strings end there"),
        ("is not a name of a kernel parameter", "write it like net.ipv4.ip_forward"),
        (
            "is not in a separate kernel namespace",
            "set it on the host: it is the same in every container"
        ),
        ("conflicts with the field hostname", "use hostname"),
        ("has no mapping in", "extend the mappings, or choose an id that they have"),
        ("must map the container's root", "add a range with containerID 0"),
        ("is not a SemVer", "write a version such as \(Spec.modeledVersion)"),
        ("is not supported, expected 1.x.y", "write a version such as \(Spec.modeledVersion)"),
        ("is not a name of a network device", "use 1 to 15 bytes without /, : , % and spaces"),
        ("is the name of two devices", "give one of them another name"),
        ("overlaps range", "make the ranges disjoint"),
        ("exceed 4294967294", "lower the first id or the size"),
        ("is not a page size", "write a number and KB, MB or GB"),
        ("is not a name of a directory", "use a name without /"),
        ("is not a name of a file", "use a name such as memory.high"),
        ("is not a list of", "write numbers and ranges with commas"),
        ("is not NAME=value", "write a name, =, and a value"),
        ("need a bind mount or a tmpfs", "remove the mappings, or bind a directory"),
        ("must be given together", "add the missing list"),
        ("is above the hard limit", "lower soft, or raise hard"),
        ("returns no error", "remove it, or use SCMP_ACT_ERRNO"),
        ("runtime, deadline and period need", "remove them, or use SCHED_DEADLINE"),
        ("needs the policy", "remove the priority, or change the policy"),
        ("is listed twice", "remove one of the two"),
        ("needs linux.seccomp.listenerPath", "add the path of the listener's socket"),
        ("needs hcaHandles or hcaObjects", "set one of them"),
        ("must not contain a line break", "make each line an element of its own"),
        ("must be greater than 0", "write a positive number, or remove it"),
        ("cannot be used as default action", "list the calls to be notified of in syscalls"),
        ("cannot be used for the write syscall", "remove write from the rule"),
        ("exclude each other", "remove one of the two"),
        ("is not one line that begins with MB:", "write it like MB:0=50;1=50"),
        ("is not made of r, w and m", "use letters of rwm"),
        ("is not a resource limit of Linux", "use a name of getrlimit(2), such as RLIMIT_NOFILE"),
        ("is not a clock with an offset", "use monotonic or boottime"),
        ("contains \"..\"", "write the path without .."),
        ("is no id", "choose a smaller number"),
        ("takes no more than", "list fewer"),
        ("is not in process.capabilities.permitted", "add it to permitted, or remove it here"),
        ("which is deprecated; taken from /", "begin the path with /"),
        ("ignoring unknown or unavailable capabilities", "check the spelling: CAP_SYS_ADMIN"),
        ("can't raise ambient capability", "add it to permitted and inheritable"),
        ("which are left out", "remove them"),
        ("expected an integer", "write a whole number"),
        ("is the container's root", "name something below it"),
        ("it is inside /proc", "mount it elsewhere"),
        ("it is not of type proc", "mount the type proc there"),
        ("does not name a cgroup of the container's own", "name a cgroup below the root"),
        ("but not started", "add process"),
        ("selinux is disabled or not supported", "remove the label, or enable SELinux"),
        ("memory+swap limit should be", "raise swap, or remove it"),
        ("cgroup v2 has no", "remove it, or use a host with cgroup v1"),
        ("is not available on this host", "remove the limit, or enable the controller"),
        ("resctrl mount point not found", "mount resctrl, or remove linux.intelRdt"),
    ]
}
#endif
