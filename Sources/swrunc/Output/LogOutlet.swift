// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging
internal import SystemPackage

/// Where the log goes: standard error, or the file of `--log`.
struct LogOutlet: Sendable {
    let format: LogRecord.Format
    /// Whether the log is a file of its own, so that standard error must be told as well.
    let isFile: Bool
    private let descriptor: FileDescriptor

    /// The log on standard error.
    static func standardError(_ format: LogRecord.Format) -> LogOutlet {
        LogOutlet(format: format, isFile: false, descriptor: .standardError)
    }

    /// The log in a file, which is made at once: engines look for it even when nothing was logged.
    ///
    /// A fifo that nobody reads is refused (ENXIO), and one that is full loses the record: no command
    /// waits for a reader of its log.
    static func file(_ path: FilePath, _ format: LogRecord.Format) throws(Errno) -> LogOutlet {
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open(
                path, .writeOnly, options: [.append, .create, .closeOnExec, .nonBlocking],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        } catch {
            throw error as? Errno ?? .ioError
        }
        return LogOutlet(format: format, isFile: true, descriptor: descriptor)
    }

    /// Writes a record; one that cannot be written is lost, for there is nowhere to say so.
    func write(_ record: LogRecord) {
        // In one piece, so that lines of commands that share a file do not mix.
        _ = try? descriptor.writeAll(record.line(format).utf8)
    }

    /// A logger that writes here; standard error gets warnings too, a file only errors.
    ///
    /// Podman takes the file as one JSON object, so a warning before the error would hide it.
    func logger(debug: Bool) -> Logger {
        var logger = Logger(label: "swrunc", factory: { _ in RecordLogHandler(outlet: self) })
        logger.logLevel = debug ? .debug : (isFile ? .error : .warning)
        return logger
    }
}

/// What turns the messages of ContainerKit into records.
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
