// SPDX-License-Identifier: Apache-2.0

// Checkpointing: saving a running container to files and restoring it from them, with CRIU.
//
//   CriuSession      `criu swrk`, a child that serves one request; CRIU's version
//   CriuPrograms     the programs that CRIU runs, and how they are ended with it
//   CriuSession+Limit  what CRIU hangs at when the caller's time is over, and how it is ended
//   NetworkUnlock    unlocks a network that CRIU has left locked
//   CriuMessages     the requests to CRIU and its answers
//   ProtobufMessage  the format of these messages
//   CheckpointImage  the directory of an image, and our own files in it
//   Checkpointing    a checkpoint: from the container's record to the image
//   CopyRules        resources that copies of one image must not share
//   ContainerMounts  which of a container's mounts have the host's files
//   Restoration      a restore: from the image to a running container; undone if it fails
//   Restoration+Criu  the host's files, namespaces and cgroups in the request to CRIU
//   MountPoints      makes mount points that the root file system lacks
//   RestoreExplanation  which steps of a creation a restore performs, and a restore as text
//   RestoredTree     checks that restored processes have no more rights than the config grants

#if os(Linux)
internal import ByteText
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// A CRIU process, child of this process, that serves one request by CRIU's own protocol.
///
/// Source: criu.org, RPC; "swrk" is the mode for runtimes, in which requests come over an inherited
/// socket.
final class CriuSession {
    let pid: Int32
    private let process: OwnedDescriptor
    private let socket: OwnedDescriptor
    /// CRIU's output before it has a log.
    private var said: CInt = -1
    private var isReaped = false
    /// The name of the last notification.
    private(set) var lastScript: String?
    /// Whether CRIU may have locked the container's network and not unlocked it.
    private(set) var leavesNetworkLocked = false
    /// Whether the caller's time is over, so that the end of CRIU is not waited for without limit.
    private var isOverdue = false

    var processNumber: CInt { process.number }
    var socketNumber: CInt { socket.number }

    /// The size limit of an answer; runc's is 40 KiB.
    private static let answerLimitBytes = 64 << 10

    /// What a session gets in addition to the socket.
    struct Provision {
        /// Descriptors that are passed to CRIU by their numbers.
        var kept: [CInt] = []
        /// The container's streams; nil if nothing is restored.
        var io: ProcessIO?
        /// The session keyring of restored processes; nil for the caller's.
        var keyring: String?
        /// Prepared mount trees, and where they are mounted in CRIU's own mount namespace.
        var trees: [(descriptor: CInt, path: String)] = []
        /// Whether CRIU is killed when the thread that starts it ends.
        ///
        /// If not, CRIU notices by itself that the runtime has ended, since it gets no answers, and
        /// undoes its work. A signal would prevent that; it is for cases in which CRIU may wait for
        /// another process.
        var endsWithRuntime = false
        /// Whether a write beyond RLIMIT_FSIZE is only an error for CRIU, not the end.
        var survivesFileSizeLimit = false
    }

    /// Starts CRIU.
    ///
    /// CLONE_VM and CLONE_VFORK, as for other programs of the host.
    /// - Throws: `criu` if it is not installed.
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

    /// A process that ends this session, with the processes that it restores, if this one dies.
    ///
    /// - Parameter process: the first restored process.
    /// - Returns: the guardian, which guards until it is dismissed.
    /// - Throws: the refusal of a call.
    func guardian(over process: CInt) throws(ContainerError) -> Guardian {
        try Guardian(over: process, restoredBy: self.process.number, socket: socket.number)
    }

    /// A descriptor that is closed when this object is released.
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
            endingWith: provision.endsWithRuntime ? ownProcessID : nil,
            blocksFileSizeSignal: provision.survivesFileSizeLimit)
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

    /// Ends CRIU, if it has not ended, and reaps it.
    func end() {
        guard !isReaped else { return }
        isReaped = true
        // After some requests it waits for further ones.
        shutDown(socket.number)
        if (try? hasEnded(process.number, withinMilliseconds: isOverdue ? 200 : 10_000)) != true {
            kill()
        }
        // In a call of the kernel's that nothing ends, it dies later.
        guard !isOverdue || (try? hasEnded(process.number, withinMilliseconds: 200)) == true
        else { return }
        _ = try? waitProcess(process.number)
    }

    /// Kills CRIU at once: its work stays half-done.
    func kill() {
        try? sendSignal(process.number, Signal.kill.rawValue)
    }

    /// Waits until CRIU has ended by itself, after its answer; when the time is over, ends it.
    func awaitEnd(within limit: TimeLimit? = nil) throws(ContainerError) -> ExitStatus {
        if let limit {
            // It has nothing left to do.
            let patience = max(limit.deadline.remainingMilliseconds, 500)
            if (try? hasEnded(process.number, withinMilliseconds: patience)) != true { killAll() }
        }
        isReaped = true
        return try reporting("unable to wait for criu") { () throws(SystemCallError) in
            try waitProcess(process.number)
        }
    }

    // MARK: The exchange

    /// Sends a request, and answers CRIU's notifications until CRIU has answered the request.
    ///
    /// - Parameters:
    ///   - request: the request.
    ///   - log: CRIU's log, for the text of an error.
    ///   - limit: the caller's limit for the time; asked again before each wait, since a request
    ///     may come to a point after which it must not be broken off.
    ///   - meanwhile: called twice a second while CRIU works.
    ///   - attend: called for each notification, with a descriptor that came with it (or -1), which
    ///     is closed afterwards; if it throws, the answer to CRIU is that it failed.
    /// - Returns: CRIU's answer, which reports success.
    /// - Throws: `criu` with CRIU's own message, or the error that `attend` has thrown; `timedOut`
    ///   with what CRIU is doing, which has then let the processes of a dump go on.
    func serve(
        _ request: CriuRequest, log: @autoclosure () -> CriuLog?,
        within limit: @autoclosure () -> TimeLimit? = nil, meanwhile: (() -> Void)? = nil,
        attend: (CriuResponse, CInt) throws(ContainerError) -> Void
    ) throws(ContainerError) -> CriuResponse {
        try send(request)
        var failure: ContainerError?
        while true {
            let limit = limit()
            if try !awaitMessage(meanwhile, before: limit?.deadline), let limit {
                isOverdue = true
                let error = failure ?? overdue(limit, request.kind, log())
                guard request.kind.stopsProcesses else {
                    killAll()
                    throw error
                }
                guard let response = breakOff(request.kind), failure == nil else { throw error }
                return response
            }
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
            note(response.script)
            var answer = CriuRequest(.notify)
            do throws(ContainerError) {
                // After a failure, further notifications are ignored: CRIU is about to give up.
                if failure == nil { try attend(response, descriptor) }
                answer.acknowledges = failure == nil
            } catch {
                failure = error
                answer.acknowledges = false
            }
            try? send(answer)
        }
    }

    /// Waits for a message from CRIU, or its end; false if neither has come before the deadline.
    private func awaitMessage(_ meanwhile: (() -> Void)?, before deadline: Deadline?)
        throws(ContainerError) -> Bool
    {
        var entries = [PollEntry(socket.number, .readable)]
        do throws(SystemCallError) {
            while true {
                let left = deadline?.remainingMilliseconds ?? .max
                let pause = meanwhile == nil ? left : min(left, 500)
                if try poll(&entries, timeoutMilliseconds: pause) > 0 { return true }
                if deadline?.remainingMilliseconds == 0 { return false }
                meanwhile?()
            }
        } catch {
            throw ContainerError(error, "unable to read the answer of criu")
        }
    }

    private func note(_ script: String?) {
        lastScript = script
        if script == "network-lock" { leavesNetworkLocked = true }
        // After the time is over, a program that unlocks it may have been killed.
        if script == "network-unlock", !isOverdue { leavesNetworkLocked = false }
    }

    /// Answers a notification by the word that it has failed.
    func refuse(_ script: String) {
        note(script)
        var answer = CriuRequest(.notify)
        answer.acknowledges = false
        try? send(answer)
    }

    private func send(_ request: CriuRequest) throws(ContainerError) {
        do throws(SystemCallError) {
            try sendPacket(request.encoded, over: socket.number)
        } catch  where error.errno == .brokenPipe || error.errno == .connectionReset {
            // CRIU has ended; the next read finds that there is no answer.
        } catch {
            throw ContainerError(error, "unable to send criu the request")
        }
    }

    /// CRIU's next message, with the descriptor that came with it or -1; nil if CRIU has ended.
    func receive() throws(ContainerError) -> (CriuResponse, descriptor: CInt)? {
        let (bytes, descriptors): ([UInt8], [CInt])
        do throws(SystemCallError) {
            (bytes, descriptors) = try receivePacket(
                from: socket.number, limitBytes: Self.answerLimitBytes)
        } catch  where error.errno == .connectionReset {
            return nil
        } catch {
            throw ContainerError(error, "unable to read the answer of criu")
        }
        for number in descriptors.dropFirst() { _ = OwnedDescriptor(taking: number) }
        if bytes.isEmpty { return nil }
        guard let response = CriuResponse(bytes) else {
            for number in descriptors.prefix(1) { _ = OwnedDescriptor(taking: number) }
            throw ContainerError(.criu, "criu sent an answer that cannot be decoded")
        }
        return (response, descriptors.first ?? -1)
    }

    /// The error for a CRIU that has ended without an answer.
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
        // The text begins as in runc, since people search for it.
        var text = "criu failed: type \(response.kind?.name ?? "?") errno \(response.errno)"
        // CRIU's answer contains the first error, which need not be the cause.
        var words = log?.lastErrors ?? response.message ?? ""
        while words.last?.isWhitespace == true { words.removeLast() }
        if !words.isEmpty { text += ": \(words)" }
        return ContainerError(
            .criu, text + (log?.reference ?? ""), hint: hint(response.kind, words))
    }

    private static func hint(_ kind: CriuRequestKind?, _ words: String) -> String? {
        // CRIU locks a container's network with these programs, which its package does not depend
        // on; it quotes a program that cannot be executed.
        for quoted in words.split(separator: "\"")
        where quoted == "ip6tables-restore" || quoted == "iptables-restore" {
            return "install the package iptables, or choose --network-lock nftables or skip"
        }
        return kind == .featureCheck
            ? "criu cannot tell what this kernel supports: `criu check --all` shows why" : nil
    }
}

extension CriuSession.Provision {
    /// For queries about CRIU itself.
    fileprivate static var passing: Self {
        var provision = Self()
        provision.endsWithRuntime = true
        return provision
    }
}

extension CriuSession {
    /// The version of the installed CRIU, which must be recent enough.
    static func checkVersion(within limit: TimeLimit? = nil) throws(ContainerError)
        -> CriuVersion
    {
        let session = try CriuSession(.passing)
        let answer = try session.serve(CriuRequest(.version), log: nil, within: limit) { _, _ in }
        guard let version = answer.version else {
            throw ContainerError(.criu, "criu sent no version")
        }
        try require(version, .needed, for: "checkpoint and restore")
        return version
    }

    /// Throws if the version is too old for a purpose.
    static func require(_ version: CriuVersion, _ needed: CriuVersion, for purpose: String)
        throws(ContainerError)
    {
        guard version < needed else { return }
        throw ContainerError(
            .criu, "criu \(version) is too old for \(purpose): \(needed) or later is needed",
            hint: "install a later version of the package criu")
    }

    /// Checks whether CRIU and the kernel support some features.
    ///
    /// - Throws: `unsupported` with the names of the missing features.
    static func check(_ wanted: CriuFeatures, within limit: TimeLimit? = nil)
        throws(ContainerError)
    {
        guard wanted.tracksMemory || wanted.lazyPages else { return }
        let session = try CriuSession(.passing)
        var request = CriuRequest(.featureCheck)
        request.features = wanted
        let found =
            try session.serve(request, log: nil, within: limit) { _, _ in }.features
            ?? CriuFeatures()
        // The names are runc's.
        var missing: [String] = []
        if wanted.tracksMemory, !found.tracksMemory { missing.append("MemTrack") }
        if wanted.lazyPages, !found.lazyPages { missing.append("LazyPages") }
        guard missing.isEmpty else {
            throw ContainerError(
                .unsupported,
                "criu is missing features: \(missing.joined(separator: ", "))",
                hint: "the kernel or this user may lack them: `criu check --all` shows which")
        }
    }
}

/// CRIU's log of a dump or a restore.
struct CriuLog {
    /// The directory, as the caller named it.
    let path: String
    /// The directory, open.
    let directory: CInt
    let name: String

    /// A reference for the end of an error's text.
    var reference: String { " (log file: \(path)/\(name))" }

    /// The last errors in the log, the cause before its consequences; nil if there are none.
    var lastErrors: String? {
        guard let file = try? openFile(name, .readOnly | .noFollow | .nonBlocking, at: directory),
            let bytes = try? readTail(of: file.number, limitBytes: 64 << 10)
        else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let errors = lines.compactMap { line -> String? in
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard let start = words.firstIndex(of: "Error"), start < 3 else { return nil }
            // Failures that CRIU can work around, and the message that the whole request has
            // failed.
            let isNoCause = words[start...].contains {
                $0 == "tun:" || $0 == "rlimit:" || $0.begins(with: "FAILED")
            }
            return isNoCause ? nil : words[start...].joined(separator: " ")
        }
        return errors.isEmpty ? nil : errors.suffix(3).joined(separator: "; ")
    }
}
#endif
