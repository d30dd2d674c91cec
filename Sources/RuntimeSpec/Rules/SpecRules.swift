// SPDX-License-Identifier: Apache-2.0

/// The rules of the document as a whole, of its mounts and hooks.
let documentRules: [Rule<Spec>] = [
    checkVersion, checkRoot, checkHostNames, checkMountDestinations, checkBindSources,
    checkMountMappings, checkHooks,
]

/// What is allowed there, but likely not meant.
let documentWarnings: [Rule<Spec>] = [
    warnOfRelativeDestinations
]

/// The version is SemVer with the major version 1.
///
/// Spec: config.md, Specification version.
func checkVersion(_ spec: Spec, _ found: inout [SpecError]) {
    let section = "config.md, Specification version"
    // Other encoders write an empty version when none was set.
    if spec.ociVersion.isEmpty { return }
    guard let major = majorVersion(spec.ociVersion) else {
        let message = "\(quoted(spec.ociVersion)) is not a SemVer 2.0.0 version"
        return found.append(SpecError("ociVersion", message, section: section))
    }
    if major != "1" {
        let message = "version \(quoted(spec.ociVersion)) is not supported, expected 1.x.y"
        found.append(SpecError("ociVersion", message, section: section))
    }
}

/// The major version of a SemVer text; nil if it is not SemVer 2.0.0.
private func majorVersion(_ text: String) -> Substring? {
    let build = parts(Substring(text), "+", most: 2)
    let release = parts(build[0], "-", most: 2)
    let numbers = parts(release[0], ".")
    guard numbers.count == 3, numbers.allSatisfy(isSemVerNumber) else { return nil }
    if release.count == 2 {
        let words = parts(release[1], ".")
        guard words.allSatisfy({ isSemVerNumber($0) || isSemVerWord($0) }) else { return nil }
    }
    if build.count == 2 {
        let words = parts(build[1], ".")
        guard words.allSatisfy({ isSemVerWord($0) || isDigits($0) }) else { return nil }
    }
    return numbers[0]
}

/// The parts of a text between separators, including empty ones.
private func parts(
    _ text: Substring, _ separator: Unicode.Scalar, most count: Int = .max
) -> [Substring] {
    let separator = UInt8(ascii: separator)
    var parts: [Substring] = []
    var rest = text
    while parts.count < count - 1, let place = rest.utf8.firstIndex(of: separator) {
        parts.append(rest[..<place])
        rest = rest[rest.utf8.index(after: place)...]
    }
    return parts + [rest]
}

private func isDigits(_ text: Substring) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
}

private func isSemVerNumber(_ text: Substring) -> Bool {
    isDigits(text) && (text == "0" || text.utf8.first != UInt8(ascii: "0"))
}

/// Whether the text is letters, digits and hyphens, and not only digits.
private func isSemVerWord(_ text: Substring) -> Bool {
    !text.isEmpty && !isDigits(text)
        && text.unicodeScalars.allSatisfy { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || scalar == "-")
                || ("0"..."9").contains(scalar)
        }
}

/// `root` is present and has a path.
///
/// Spec: config.md, Root.
func checkRoot(_ spec: Spec, _ found: inout [SpecError]) {
    let section = "config.md, Root"
    guard let root = spec.root else {
        return found.append(SpecError("root", "must be present", section: section))
    }
    if root.path.isEmpty {
        found.append(SpecError("root.path", "must not be empty", section: section))
    }
}

/// Host and domain name need a UTS namespace and have at most 64 bytes.
///
/// Spec: config.md, Hostname. Kernel: uname(2), 64 bytes.
func checkHostNames(_ spec: Spec, _ found: inout [SpecError]) {
    checkHostName(spec.hostname, of: spec, at: "hostname", "config.md, Hostname", &found)
    checkHostName(spec.domainname, of: spec, at: "domainname", "config.md, Domainname", &found)
}

private func checkHostName(
    _ name: String?, of spec: Spec, at path: JSONPath, _ section: String,
    _ found: inout [SpecError]
) {
    guard let name, !name.isEmpty else { return }
    if spec.linux?.namespace(.uts) == nil {
        let message = "needs a uts namespace in linux.namespaces"
        found.append(SpecError(path, message, section: section))
    }
    if name.utf8.count > 64 {
        found.append(SpecError(path, "is longer than 64 bytes", section: section))
    }
}

/// Each mount has a destination that is not too long for the kernel.
///
/// Spec: config.md, Mounts.
func checkMountDestinations(_ spec: Spec, _ found: inout [SpecError]) {
    let section = "config.md, Mounts"
    for (index, mount) in (spec.mounts ?? []).enumerated() {
        var path: JSONPath { "mounts[\(index)].destination" }
        if mount.destination.isEmpty {
            found.append(SpecError(path, "must not be empty", section: section))
        }
        checkLength(mount.destination, path, section, &found)
    }
}

extension Mount {
    /// Whether the mount binds a file or directory of the host.
    ///
    /// The option `bind` or `rbind` makes it so, and also the type `bind`, which engines write.
    var isBind: Bool {
        type == "bind" || (options ?? []).contains { $0 == "bind" || $0 == "rbind" }
    }
}

/// A bind mount has a source, unless it only changes an existing mount.
///
/// Spec: config.md, Mounts.
func checkBindSources(_ spec: Spec, _ found: inout [SpecError]) {
    for (index, mount) in (spec.mounts ?? []).enumerated()
    where mount.isBind && (mount.source ?? "").isEmpty
        && !(mount.options ?? []).contains("remount")
    {
        found.append(
            SpecError(
                "mounts[\(index)].source", "must not be empty for a bind mount",
                section: "config.md, Mounts"))
    }
}

/// A mount has both ID mappings or none, and only bind mounts and new tmpfs mounts may have them.
///
/// Spec: config.md, POSIX-platform Mounts.
func checkMountMappings(_ spec: Spec, _ found: inout [SpecError]) {
    let section = "config.md, POSIX-platform Mounts"
    for (index, mount) in (spec.mounts ?? []).enumerated() {
        let hasUsers = !(mount.uidMappings ?? []).isEmpty
        let hasGroups = !(mount.gidMappings ?? []).isEmpty
        guard hasUsers || hasGroups else { continue }
        let path: JSONPath = "mounts[\(index)]"
        if hasUsers != hasGroups {
            let message = "uidMappings and gidMappings must be given together"
            found.append(SpecError(path, message, section: section))
        }
        if !mount.isBind, mount.type != "tmpfs" {
            let message = "uidMappings and gidMappings need a bind mount or a tmpfs"
            found.append(SpecError(path, message, section: section))
        }
    }
}

/// Hooks have an absolute path and a positive timeout.
///
/// Spec: config.md, POSIX-platform Hooks.
func checkHooks(_ spec: Spec, _ found: inout [SpecError]) {
    guard let hooks = spec.hooks else { return }
    let section = "config.md, POSIX-platform Hooks"
    let lists: [(name: String, hooks: [Hook]?)] = [
        ("prestart", hooks.prestart), ("createRuntime", hooks.createRuntime),
        ("createContainer", hooks.createContainer), ("startContainer", hooks.startContainer),
        ("poststart", hooks.poststart), ("poststop", hooks.poststop),
    ]
    for (name, hooks) in lists {
        for (index, hook) in (hooks ?? []).enumerated() {
            let path: JSONPath = "hooks.\(name)[\(index)]"
            if !hook.path.isAbsolutePath {
                let message = "\(quoted(hook.path)) is not an absolute path"
                found.append(SpecError(path.appending(key: "path"), message, section: section))
            }
            if let timeout = hook.timeout, timeout <= 0 {
                let message = "must be greater than 0, found \(timeout)"
                found.append(SpecError(path.appending(key: "timeout"), message, section: section))
            }
        }
    }
}

/// Warns of relative destinations, which are deprecated; they count from `/`.
///
/// Spec: config.md, Mounts.
func warnOfRelativeDestinations(_ spec: Spec, _ found: inout [SpecError]) {
    for (index, mount) in (spec.mounts ?? []).enumerated()
    where !mount.destination.isAbsolutePath {
        found.append(
            SpecError(
                "mounts[\(index)].destination", "is relative, which is deprecated; taken from /",
                section: "config.md, Mounts"))
    }
}
