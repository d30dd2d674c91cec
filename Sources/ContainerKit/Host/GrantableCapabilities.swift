// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import Logging
internal import RuntimeSpec

extension HostFacts {
    /// Determines the capabilities that can be granted, and logs those that `process` requests
    /// beyond them.
    ///
    /// It is not a warning, because without `--log` that would be printed into the output of the
    /// container and of each exec. Spec: config.md, Linux Process: capabilities that cannot be
    /// granted are no error.
    mutating func limitCapabilities(of process: Process?, _ logger: Logger) {
        grantableCapabilities = heldCapabilities()
        let asked = CapabilityMasks(process?.capabilities)
        let refused =
            (asked.permitted | asked.effective | asked.inheritable) & ~grantableCapabilities
        let names = CapabilityNames.names(in: refused)
        guard !names.isEmpty else { return }
        let text = names.joined(separator: ", ")
        logger.info("process.capabilities: not granted, as the runtime lacks them: \(text)")
    }
}
#endif
