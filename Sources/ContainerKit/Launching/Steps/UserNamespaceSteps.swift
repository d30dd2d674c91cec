// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import Logging
internal import SystemPackage

/// Steps that do what a process of a user namespace may not do for itself.
enum UserNamespaceStep: ParentAction {
    /// Writes the ID maps of the child's user namespace.
    case writeIDMaps(IDMaps, by: IDMapWriter)
    /// Compares the ID maps of the user namespace that the child has joined with the config's.
    case checkIDMaps(IDMaps)
    /// Sets the child's OOM score adjustment, which a process of a user namespace may only raise.
    case setOOMScore(Int)
    /// Sets the child's resource limits, which a process of a user namespace may only lower.
    case setLimits([PlannedLimit])

    var sentence: String {
        switch self {
        case .writeIDMaps(let maps, let writer):
            "map the child's ids\(writer.words): \(maps.words)"
        case .checkIDMaps(let maps): "check that the child's ids are mapped so: \(maps.words)"
        case .setOOMScore(let score): "set the child's OOM score adjustment to \(score)"
        case .setLimits(let limits):
            "set the child's limits: "
                + limits.map { "\($0.name) \($0.soft):\($0.hard)" }.joined(separator: ", ")
        }
    }

    var exchanges: [Exchange] { [] }
    var provides: [InheritedDescriptor] { [] }

    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError) {
        let field = origin.path
        switch self {
        case .writeIDMaps(let maps, let writer):
            try maps.write(to: launcher.pid, by: writer, field: field)
        case .checkIDMaps(let maps): try launcher.checkIDMaps(maps, field)
        case .setOOMScore(let score): try launcher.setOOMScore(score, field)
        case .setLimits(let limits): try launcher.setLimits(limits, field)
        }
    }
}

extension Launcher {
    /// Engines set maps for a joined namespace as well; other maps than the namespace has are an
    /// error.
    fileprivate func checkIDMaps(_ maps: IDMaps, _ field: String?) throws(ContainerError) {
        let process = pid
        let found = try reporting("unable to read the id maps", field: field) {
            () throws(SystemCallError) in try IDMaps.read(of: process)
        }
        guard found.sorted == maps.sorted else {
            throw ContainerError(
                .invalidSpec, "the user namespace that is joined has other maps", field: field,
                hint: "leave the mappings out: those of the namespace count")
        }
        options.logger.debug(
            "linux.uidMappings: not needed, since the config joins a user namespace")
    }

    fileprivate func setOOMScore(_ score: Int, _ field: String?) throws(ContainerError) {
        let path = "/proc/\(pid)/oom_score_adj"
        do throws(SystemCallError) {
            let file = try openFile(path, .writeOnly)
            try writeAll(Array(String(score).utf8), to: file.number, named: "\"\(path)\"")
        } catch {
            let isRefusal = error.call == "write" && error.errno == .permissionDenied
            throw ContainerError(
                error, field: field, hint: isRefusal ? AttributeStep.oomScoreHint : nil)
        }
    }

    fileprivate func setLimits(_ limits: [PlannedLimit], _ field: String?) throws(ContainerError) {
        for limit in limits {
            do throws(SystemCallError) {
                try setResourceLimit(pid: pid, limit)
            } catch {
                throw ContainerError(
                    .initFailed, "", field: field, failure: error,
                    hint: error.errno == .notPermitted ? AttributeStep.limitHint(limit.name) : nil)
            }
        }
    }
}

extension IDMapWriter {
    fileprivate var words: String {
        switch self {
        case .runtime: ""
        case .user: " (the runtime's own, groups denied)"
        case .tools: " (by newuidmap and newgidmap)"
        }
    }
}

extension IDMaps {
    /// The maps in words: `users 0-65535 to 100000, groups ...`.
    var words: String {
        "users \(Self.words(users)); groups \(Self.words(groups))"
    }

    private static func words(_ ranges: [IDRange]) -> String {
        ranges.map { range in
            let last = UInt64(range.inside) + UInt64(max(range.count, 1)) - 1
            return "\(range.inside)-\(last) to \(range.outside)"
        }.joined(separator: ", ")
    }
}
#endif
