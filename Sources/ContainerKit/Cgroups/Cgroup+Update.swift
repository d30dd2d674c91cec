// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

extension Cgroup {
    /// Changes the limits of a container; if one is refused, those changed before it are restored.
    ///
    /// `devices` is the present access to devices.
    func update(_ plan: ResourcePlan, from devices: DeviceAccess? = nil) throws(CgroupError) {
        let writes = plan.steps.flatMap { step -> [ControlWrite] in
            switch step {
            case .write(let write): [write]
            case .writeFirst(let choices): choices
            case .requireUsage: []
            }
        }
        let former = writes.compactMap { write -> ControlWrite? in
            let path = "\(layout.directories[write.directory].path)/\(write.file)"
            guard let text = try? readFile(path) else { return nil }
            return write.restoring(String(decoding: text, as: UTF8.self))
        }
        do throws(CgroupError) {
            try apply(plan.steps)
            if let wanted = plan.devices { try apply(wanted, from: devices) }
            try setProperties(plan.properties)
        } catch {
            // Twice, since values that bound each other can only be restored in one order.
            for _ in 0..<2 {
                for write in former.reversed() { restore(write) }
            }
            throw error
        }
    }

    private func restore(_ write: ControlWrite) {
        let path = layout.directories[write.directory].path
        // Errors of restoring are ignored: the caller gets the first error.
        try? writeControlFile("\(path)/\(write.file)", write.text)
    }
}

extension ControlWrite {
    /// The write that restores the file's present value; nil if there is none.
    ///
    /// Most files hold one value. Some hold one line per device or interface, and a write changes
    /// one of them; a device without a line has no limit.
    func restoring(_ contents: String) -> ControlWrite? {
        var write = self
        let lines = contents.split(separator: "\n")
        switch file {
        case "memory.oom_control":
            let key = "oom_kill_disable "
            guard let line = lines.first(where: { $0.begins(with: key) }) else { return nil }
            write.text = String(line.dropFirst(key.count))
        case "io.weight", "io.bfq.weight", "io.max", "rdma.max", "net_prio.ifpriomap",
            _ where file.begins(with: "blkio.") && file.ends(with: "_device"):
            guard let key = text.split(separator: " ").first else { return nil }
            if let line = lines.first(where: { $0.split(separator: " ").first == key }) {
                write.text = String(line)
            } else if !key.utf8.contains(UInt8(ascii: ":")) {
                // The weight of the whole cgroup follows the word "default".
                guard let line = lines.first(where: { $0.begins(with: "default ") }) else {
                    return nil
                }
                write.text = String(line)
            } else {
                write.text = "\(key) \(Self.unlimited(file))"
            }
        default:
            write.text = lines.first.map(String.init) ?? "\n"
        }
        return write
    }

    /// The value that removes the limit of a device.
    private static func unlimited(_ file: String) -> String {
        switch file {
        case "io.max": "rbps=max wbps=max riops=max wiops=max"
        case "io.weight": "default"
        default: "0"
        }
    }
}
#endif
