// SPDX-License-Identifier: Apache-2.0

// Checkpointing: a running container becomes files, and files a running container, by CRIU.
//
//   CriuSession      `criu swrk`, a child that serves one request; which release it is
//   CriuMessages     what CRIU is asked and what it answers
//   ProtobufMessage  the format of these messages
//   CheckpointImage  the directory of an image, and our own files in it
//   Checkpointing    a checkpoint, from the container's record to the image
//   CopyRules        what copies of one image must not share
//   ContainerMounts  which of a container's mounts are made of the host's files
//   Restoration      a restore, from the image to a running container; undoes what it did when it fails
//   Restoration+Criu  what CRIU is told of the host's files, namespaces and cgroups
//   MountPoints      places for mounts, where the root file system lacks them
//   RestoreExplanation  which steps of a creation a restore takes, and a restore as text
//   RestoredTree     whether restored processes may do more than the config grants

internal import ByteText
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// CRIU as a child of this process that serves one request, by its own protocol.
///
/// Source: criu.org, RPC; "swrk" is the mode for runtimes, where the requests come over an inherited socket.
final class CriuSession {
    let pid: Int32
    private let process: OwnedDescriptor
    private let socket: OwnedDescriptor
    /// What it says before it has a log.
    private var said: CInt = -1
    private var isReaped = false

    /// The longest answer: runc's limit is 40 KiB.
    private static let answerLimitBytes = 64 << 10

    /// What a session gets beside the socket.
    struct Provision {
        /// Descriptors that CRIU is told of by their numbers.
        var kept: [CInt] = []
        /// The container's streams; nil where there is nothing to be restored.
        var io: ProcessIO?
        /// The session keyring that restored processes have; nil is the caller's.
        var keyring: String?
        /// Prepared trees, and where they are mounted in a mount namespace of CRIU's own.
        var trees: [(descriptor: CInt, path: String)] = []
        /// Whether it is killed when the thread that starts it ends.
        ///
        /// Without that CRIU takes back what it is about: it is told nothing more, finds that it cannot ask,
        /// and fails. A signal would leave that undone; it is for where CRIU may wait for somebody else.
        var endsWithRuntime = false
    }

    /// Starts CRIU.
    ///
    /// CLONE_VM and CLONE_VFORK, as for other programs of the host.
    /// - Throws: `criu` when there is none.
    init(_ provision: Provision) throws(ContainerError) {
        guard let path = HostProgram.find("criu") else {
            throw ContainerError(
                .criu, "criu is not in $PATH: checkpoint and restore need it",
                hint: "install the package criu, version \(CriuVersion.needed) or later")
        }
        do throws(SystemCallError) {
            let (ours, theirs) = try packetSocketPair().numbers()
            socket = OwnedDescriptor(taking: ours)
            let server = try aboveStreams(OwnedDescriptor(taking: theirs))
            var inputs: DescriptorTable<CInt> = [.kept(0): server.number]
            for (index, number) in provision.kept.enumerated() {
                inputs[.kept(index + 1)] = number
            }
            var streams: [OwnedNumber] = []
            switch provision.io {
            case nil:
                let null = try openFile("/dev/null", .readWrite)
                let output = try memoryFile("criu", for: .data)
                streams = [
                    OwnedNumber(try aboveStreams(null).release()),
                    OwnedNumber(try duplicate(output.number, from: 3).release()),
                    OwnedNumber(try duplicate(output.number, from: 3).release()),
                ]
                said = output.release()
            case .inherit: break
            case .descriptors(let input, let output, let error):
                for number in [input, output, error] {
                    streams.append(OwnedNumber(try duplicate(number, from: 3).release()))
                }
            }
            for (index, stream) in streams.enumerated() {
                inputs[.standardStream(index)] = stream.number
            }
            for (index, tree) in provision.trees.enumerated() {
                inputs[.mountTree(index)] = tree.descriptor
            }
            let child = try Self.start(
                path, inputs, provision, streams: Array(0..<streams.count),
                socket: server.number)
            withExtendedLifetime((streams, server.number)) {}
            pid = child.pid
            process = OwnedDescriptor(taking: child.pidfd)
        } catch {
            throw ContainerError(error, "unable to run criu")
        }
    }

    /// A descriptor that is closed with this object.
    private final class OwnedNumber {
        let number: CInt

        init(_ number: CInt) { self.number = number }

        deinit { _ = OwnedDescriptor(taking: number) }
    }

    private static func start(
        _ path: String, _ inputs: DescriptorTable<CInt>, _ provision: Provision, streams: [Int],
        socket: CInt
    ) throws(SystemCallError) -> ChildProcess {
        var environment = ownEnvironment()
        if environmentVariable("PATH") == nil {
            environment.append(ByteText("PATH=\(HostProgram.standardSearchPath)"))
        }
        let (image, closing) = ProgramImage.hostProgram(
            ByteText(path), ["criu", "swrk", ByteText("\(socket)")], environment,
            streams: streams, kept: provision.kept.count + 1, keyring: provision.keyring,
            mounting: provision.trees.map(\.path),
            endingWith: provision.endsWithRuntime ? ownProcessID : nil)
        guard (try? image.check()) != nil else {
            throw SystemCallError("execve", "\"\(path)\"", errno: .argListTooLong)
        }
        var inputs = inputs
        inputs.fillGaps(between: [closing])
        let page = try ProgressPage()
        let child = try LoadedProgram(image, inputs: inputs, progress: page).start(
            [], flags: .memory | .waitsForExec | .clearHandlers)
        if page.error != 0 {
            let process = OwnedDescriptor(taking: child.pidfd)
            _ = try? waitProcess(process.number)
            throw HostProgram.failure(image, page)
        }
        return child
    }

    deinit {
        end()
        if said >= 0 { _ = OwnedDescriptor(taking: said) }
    }

    /// Ends CRIU, if it has not ended, and takes it out of the process table.
    func end() {
        guard !isReaped else { return }
        isReaped = true
        // It waits for further requests after some.
        shutDown(socket.number)
        var entries = [PollEntry(process.number, .readable)]
        if (try? poll(&entries, timeoutMilliseconds: 10_000)) ?? 0 == 0 { kill() }
        _ = try? waitProcess(process.number)
    }

    /// Ends CRIU at once: what it was about stays half-done.
    func kill() {
        try? sendSignal(process.number, Signal.kill.rawValue)
    }

    /// Waits until CRIU has ended by itself.
    func awaitEnd() throws(ContainerError) -> ExitStatus {
        isReaped = true
        return try reporting("unable to wait for criu") { () throws(SystemCallError) in
            try waitProcess(process.number)
        }
    }

    // MARK: The exchange

    /// Asks, and answers what CRIU tells of, until it has answered itself.
    ///
    /// - Parameters:
    ///   - request: what is asked for.
    ///   - log: where CRIU says more, for an error's text.
    ///   - meanwhile: is called twice a second while CRIU works.
    ///   - attend: is called for each moment that CRIU tells of, with a descriptor that came along (or -1),
    ///     which is closed afterwards; where it throws, CRIU is told that it failed.
    /// - Returns: CRIU's answer, which is one of success.
    /// - Throws: `criu` with CRIU's own words, or what `attend` has thrown.
    func serve(
        _ request: CriuRequest, log: @autoclosure () -> CriuLog?, meanwhile: (() -> Void)? = nil,
        attend: (CriuResponse, CInt) throws(ContainerError) -> Void
    ) throws(ContainerError) -> CriuResponse {
        try send(request)
        var failure: ContainerError?
        while true {
            if let meanwhile { try wait(meanwhile) }
            guard let (response, descriptor) = try receive() else {
                throw failure ?? endedWithoutAnswer(log())
            }
            defer { if descriptor >= 0 { _ = OwnedDescriptor(taking: descriptor) } }
            guard response.kind == .notify, response.script != nil else {
                if let failure { throw failure }
                guard response.isSuccess, response.kind == request.kind else {
                    throw Self.refusal(response, log())
                }
                return response
            }
            var answer = CriuRequest(.notify)
            do throws(ContainerError) {
                // After a failure the rest is CRIU's, which is about to give up.
                if failure == nil { try attend(response, descriptor) }
                answer.acknowledges = failure == nil
            } catch {
                failure = error
                answer.acknowledges = false
            }
            try? send(answer)
        }
    }

    /// Waits until CRIU says something.
    private func wait(_ meanwhile: () -> Void) throws(ContainerError) {
        var entries = [PollEntry(socket.number, .readable)]
        do throws(SystemCallError) {
            while try poll(&entries, timeoutMilliseconds: 500) == 0 { meanwhile() }
        } catch {
            throw ContainerError(error, "unable to hear criu")
        }
    }

    private func send(_ request: CriuRequest) throws(ContainerError) {
        do throws(SystemCallError) {
            try sendPacket(request.encoded, over: socket.number)
        } catch  where error.errno == .brokenPipe {
            // It has ended: who waits for the answer hears that there is none.
        } catch {
            throw ContainerError(error, "unable to ask criu")
        }
    }

    /// What CRIU says, with the number of a descriptor that came along or -1; nil when it has ended.
    private func receive() throws(ContainerError) -> (CriuResponse, descriptor: CInt)? {
        let (bytes, descriptors): ([UInt8], [CInt])
        do throws(SystemCallError) {
            (bytes, descriptors) = try receivePacket(
                from: socket.number, limitBytes: Self.answerLimitBytes)
        } catch  where error.errno == .connectionReset {
            return nil
        } catch {
            throw ContainerError(error, "unable to hear criu")
        }
        for number in descriptors.dropFirst() { _ = OwnedDescriptor(taking: number) }
        if bytes.isEmpty { return nil }
        guard let response = CriuResponse(bytes) else {
            for number in descriptors.prefix(1) { _ = OwnedDescriptor(taking: number) }
            throw ContainerError(.criu, "criu answers in a way that is not understood")
        }
        return (response, descriptors.first ?? -1)
    }

    /// CRIU has ended without an answer.
    private func endedWithoutAnswer(_ log: CriuLog?) -> ContainerError {
        let status = (try? awaitEnd())?.failureWords ?? "it ended"
        let words = said < 0 ? "" : Self.text(in: said) ?? ""
        return ContainerError(
            .criu,
            "criu failed without an answer: \(status)" + (words.isEmpty ? "" : ": \(words)")
                + (log?.reference ?? ""))
    }

    private static func text(in file: CInt) -> String? {
        let bytes = try? readTail(of: file, limitBytes: 2048)
        return bytes.map {
            String(decoding: $0, as: UTF8.self).split(separator: "\n").joined(separator: "; ")
        }
    }

    private static func refusal(_ response: CriuResponse, _ log: CriuLog?) -> ContainerError {
        // The beginning is runc's, which people search for.
        var text = "criu failed: type \(response.kind?.name ?? "?") errno \(response.errno)"
        // CRIU's answer has the first of all errors, which need not be the cause.
        var words = log?.lastErrors ?? response.message ?? ""
        while words.last?.isWhitespace == true { words.removeLast() }
        if !words.isEmpty { text += ": \(words)" }
        return ContainerError(.criu, text + (log?.reference ?? ""))
    }
}

extension CriuSession.Provision {
    /// For a question about CRIU itself.
    fileprivate static var passing: Self {
        var provision = Self()
        provision.endsWithRuntime = true
        return provision
    }
}

extension CriuSession {
    /// The release of the CRIU that is installed, which has to be late enough.
    static func checkVersion() throws(ContainerError) -> CriuVersion {
        let session = try CriuSession(.passing)
        let answer = try session.serve(CriuRequest(.version), log: nil) { _, _ in }
        guard let version = answer.version else {
            throw ContainerError(.criu, "criu does not tell its version")
        }
        try require(version, .needed, for: "checkpoint and restore")
        return version
    }

    /// Refuses a release that is too old for a purpose.
    static func require(_ version: CriuVersion, _ needed: CriuVersion, for purpose: String)
        throws(ContainerError)
    {
        guard version < needed else { return }
        throw ContainerError(
            .criu, "criu \(version) is too old for \(purpose): \(needed) or later is needed",
            hint: "install a later version of the package criu")
    }

    /// Asks whether CRIU and the kernel can do something.
    ///
    /// - Throws: `unsupported` with the name of what is missing.
    static func check(_ wanted: CriuFeatures) throws(ContainerError) {
        guard wanted.tracksMemory || wanted.lazyPages else { return }
        let session = try CriuSession(.passing)
        var request = CriuRequest(.featureCheck)
        request.features = wanted
        let found = try session.serve(request, log: nil) { _, _ in }.features ?? CriuFeatures()
        // The names are runc's.
        var missing: [String] = []
        if wanted.tracksMemory, !found.tracksMemory { missing.append("MemTrack") }
        if wanted.lazyPages, !found.lazyPages { missing.append("LazyPages") }
        guard missing.isEmpty else {
            throw ContainerError(
                .unsupported,
                "criu is missing features: \(missing.joined(separator: ", "))",
                hint: "the kernel, or a right that is missing, may be the reason: criu check --all")
        }
    }
}

/// CRIU's log of one dump or restore.
struct CriuLog {
    /// The directory, as the caller named it.
    let path: String
    /// The directory, open.
    let directory: CInt
    let name: String

    /// For the end of an error's text.
    var reference: String { " (log file: \(path)/\(name))" }

    /// The last errors of the log, the cause before what came of it; nil where it has none.
    var lastErrors: String? {
        guard let file = try? openFile(name, .readOnly | .noFollow | .nonBlocking, at: directory),
            let bytes = try? readTail(of: file.number, limitBytes: 64 << 10)
        else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let errors = lines.compactMap { line -> String? in
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard let start = words.firstIndex(of: "Error"), start < 3 else { return nil }
            // What CRIU tries in vain, and does without; and the word that all has failed.
            let isNoCause = words[start...].contains {
                $0 == "tun:" || $0 == "rlimit:" || $0.begins(with: "FAILED")
            }
            return isNoCause ? nil : words[start...].joined(separator: " ")
        }
        return errors.isEmpty ? nil : errors.suffix(3).joined(separator: "; ")
    }
}
