// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

extension Cgroup {
    /// Executes the steps of a resource plan, in order.
    func apply(_ steps: [ControlStep]) throws(CgroupError) {
        var waiting: [ControlWrite] = []
        var files = ControlFile()
        for step in steps {
            switch step {
            case .write(let write):
                if try attempt(write, &files) { continue }
                waiting.append(write)
            case .writeFirst(let writes):
                try attemptFirst(writes, &files)
            case .requireUsage(let limit, let file, let directory, let noun, let field):
                try requireUsage(below: limit, file, directory, noun, field)
            }
        }
        // Repeats while at least one of the writes succeeds in each round.
        for _ in waiting.indices where !waiting.isEmpty {
            var refused: [ControlWrite] = []
            for write in waiting {
                if try !attempt(write, &files) { refused.append(write) }
            }
            waiting = refused
        }
        if var write = waiting.first {
            write.tolerance.remove(.waitsForOthers)
            _ = try attempt(write, &files)
        }
    }

    /// Sets the access to devices.
    ///
    /// `current` is the present access, so that a change never grants anything else for a moment;
    /// nil for a new cgroup. Does nothing without a device controller.
    func apply(_ devices: DeviceAccess, from current: DeviceAccess?) throws(CgroupError) {
        if layout.isUnified {
            // The caller's own cgroup may have the program of an earlier container.
            let isNew = current == nil && layout.directories.last?.isHeld != true
            return try applyProgram(of: devices, isNew: isNew)
        }
        guard let index = layout.index(of: "devices") else { return }
        var files = ControlFile()
        let writes = DeviceController.legacyWrites(from: current, to: devices, directory: index)
        for write in writes { _ = try attempt(write, &files) }
    }

    private func applyProgram(of devices: DeviceAccess, isNew: Bool) throws(CgroupError) {
        // Without a program all devices are allowed.
        if isNew, devices == DeviceAccess(allowsByDefault: true) { return }
        guard let directory = try openUnifiedDirectory() else { return }
        do throws(SystemCallError) {
            let program = try DevicePrograms.load(devices.program)
            try DevicePrograms.attach(program.number, to: directory.number, isNew: isNew)
        } catch {
            throw CgroupError(field: "linux.resources.devices", failure: error)
        }
    }

    /// Makes one write; returns false if it must be repeated after other writes.
    private func attempt(_ write: ControlWrite, _ files: inout ControlFile) throws(CgroupError)
        -> Bool
    {
        do throws(SystemCallError) {
            try files.write(layout.directories[write.directory].path, write.file, write.text)
            return true
        } catch
            where error.errno == .invalidArgument
            && write.tolerance.contains(.waitsForOthers)
        {
            return false
        } catch
            where error.errno == .noSuchFileOrDirectory
            && write.tolerance.contains(.mayBeMissing)
        {
            return true
        } catch {
            throw CgroupError(
                field: write.field, failure: layout.named(error),
                message: explanation(of: error, write),
                hint: write.hint(for: error.errno))
        }
    }

    private func attemptFirst(_ writes: [ControlWrite], _ files: inout ControlFile)
        throws(CgroupError)
    {
        var missing: CgroupError?
        for write in writes {
            do throws(CgroupError) {
                _ = try attempt(write, &files)
                return
            } catch  where error.failure?.errno == .noSuchFileOrDirectory {
                missing = error
            }
        }
        if let missing { throw missing }
    }

    private func requireUsage(
        below limit: Int64, _ file: String, _ directory: Int, _ noun: String, _ field: JSONPath
    ) throws(CgroupError) {
        guard let usage = readNumber(file, directory), usage >= UInt64(limit) else { return }
        throw CgroupError(field: field, message: "rejecting \(noun) \(limit) <= usage \(usage)")
    }

    /// The meaning of an error for this file, if the errno alone does not tell.
    private func explanation(of error: SystemCallError, _ write: ControlWrite) -> String {
        if error.errno == .resourceBusy, write.file == "memory.limit_in_bytes",
            let usage = readNumber("memory.usage_in_bytes", write.directory),
            let peak = readNumber("memory.max_usage_in_bytes", write.directory)
        {
            return "unable to set memory limit to \(write.text) "
                + "(current usage: \(usage), peak usage: \(peak))"
        }
        if error.errno == .noSuchFileOrDirectory {
            guard exists else { return "the container's cgroup is gone" }
            // On v2 a file is also missing if a cgroup above does not pass its controller on; one
            // that contains processes cannot.
            let reason =
                layout.isUnified ? " (is its controller enabled in the cgroups above?)" : ""
            return "the container's cgroup has no \(write.file)\(reason)"
        }
        return ""
    }

    /// The number in a control file; nil if it has none or cannot be read.
    func readNumber(_ file: String, _ directory: Int) -> UInt64? {
        guard let text = try? readFile("\(layout.directories[directory].path)/\(file)") else {
            return nil
        }
        return words(of: text).first.flatMap { UInt64($0) }
    }
}

/// The control file written last, kept open, because device rules go to one file line by line.
private struct ControlFile: ~Copyable {
    private var path = ""
    private var file: OwnedDescriptor?

    mutating func write(_ directory: String, _ name: String, _ text: String)
        throws(SystemCallError)
    {
        let wanted = "\(directory)/\(name)"
        if path != wanted {
            path = ""
            file = try openFile(wanted, .writeOnly)
            path = wanted
        }
        guard let number = file?.number else { return }
        try writeOrder(text, to: number, named: name)
    }
}
#endif
