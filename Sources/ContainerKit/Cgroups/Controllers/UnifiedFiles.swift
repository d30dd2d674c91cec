// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// `linux.resources.unified`: files of cgroup v2 by name, and the text for each, written line by
/// line.
///
/// Spec: config-linux.md, Unified.
enum UnifiedFiles {
    static func plan(_ files: [String: String], into writes: inout ControlWrites)
        throws(SpecError)
    {
        guard !files.isEmpty else { return }
        guard writes.isUnified else {
            let layout = writes.layout
            throw writes.error(
                "unified",
                layout.mode == .none
                    ? layout.lack(of: "")
                    : "invalid configuration: cgroup \(layout.mode.rawValue) has no unified resources",
                section: "config-linux.md, Unified")
        }
        for (name, text) in files.sorted(by: { $0.key < $1.key }) {
            let field = JSONPath("unified").appending(key: name).description
            guard !name.utf8.contains(UInt8(ascii: "/")) else {
                throw writes.error(
                    field, "unified resource \"\(name)\" must be a file name (no slashes)")
            }
            guard let dot = name.firstIndex(of: "."), dot != name.startIndex else {
                throw writes.error(
                    field, "unified resource \"\(name)\" must be in the form CONTROLLER.PARAMETER")
            }
            if name == "cpu.weight", isIdle(files) {
                writes.warnIdle(
                    over: field, JSONPath("unified").appending(key: "cpu.idle").description)
                continue
            }
            let controller = String(name[..<dot])
            guard controller == "cgroup" || writes.layout.index(of: controller) != nil else {
                throw writes.error(
                    field,
                    "unified resource \"\(name)\" can't be set: controller \"\(controller)\" "
                        + "not available")
            }
            for line in text.split(separator: "\n") {
                writes.steps.append(
                    .write(
                        ControlWrite(
                            directory: 0, file: name, text: String(line),
                            field: writes.path(field))))
            }
        }
    }

    /// Whether the files set the cgroup idle, so that it has no weight.
    static func isIdle(_ files: [String: String]?) -> Bool {
        files?["cpu.idle"].map { words(of: Array($0.utf8)) } == ["1"]
    }
}
#endif
