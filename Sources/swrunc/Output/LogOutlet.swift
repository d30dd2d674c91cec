// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging
internal import SystemPackage

/// The destination of the log: standard error, or the file of `--log`.
struct LogOutlet: Sendable {
    let format: LogRecord.Format
    /// Whether the log is a file, so that errors must be written to standard error as well.
    let isFile: Bool
    private let descriptor: FileDescriptor

    /// A log on standard error.
    static func standardError(_ format: LogRecord.Format) -> LogOutlet {
        LogOutlet(format: format, isFile: false, descriptor: .standardError)
    }

    /// A log in a file, which is created at once: engines expect it even if nothing is logged.
    ///
    /// A full FIFO loses the record: a command must not wait for the reader of its log.
    static func file(_ path: FilePath, _ format: LogRecord.Format) throws(Errno) -> LogOutlet {
        LogOutlet(
            format: format, isFile: true,
            descriptor: try FileDescriptor.openForAppending(path))
    }

    /// Writes a record; if this fails, the record is lost, as there is nowhere to report it.
    func write(_ record: LogRecord) {
        // In a single write, so that lines of commands that share a file are not mixed.
        _ = try? descriptor.writeAll(record.line(format).utf8)
    }

    /// A logger that writes here; on standard error it includes warnings, in a file only errors.
    ///
    /// Podman reads the file as a single JSON object, so a warning before the error would hide the
    /// error.
    func logger(debug: Bool) -> Logger {
        var logger = Logger(label: "swrunc", factory: { _ in RecordLogHandler(outlet: self) })
        logger.logLevel = debug ? .debug : (isFile ? .error : .warning)
        return logger
    }
}

/// Makes records of ContainerKit's messages.
struct RecordLogHandler: LogHandler {
    let outlet: LogOutlet
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.warning

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, own in own }
        let fields = all.sorted { $0.key < $1.key }
            .map { (key: $0.key, value: JSONValue.string("\($0.value)")) }
        outlet.write(
            LogRecord(
                level: event.level, message: event.message.description,
                time: Timestamp.now.wholeSeconds, fields: fields))
    }
}
