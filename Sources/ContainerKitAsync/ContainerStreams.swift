// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit

/// The caller's choices for the standard streams of a process.
struct StreamChoices: Sendable {
    var input: ContainerInput
    var output: ContainerOutput
    var error: ContainerOutput

    /// Whether a body must write or read one of the streams.
    var needBody: Bool {
        if case .writer = input.source { return true }
        return [output, error].contains { if case .sequence = $0.outlet { true } else { false } }
    }

    /// Opens the streams and starts the process, on a thread for blocking calls.
    ///
    /// A launch that waits for its turn has no descriptor open.
    ///
    /// - Parameter start: starts the process with these streams, unless it is not wanted any more.
    /// - Returns: the process, and the caller's ends of its streams.
    /// - Throws: what `start` throws; `systemCall` with EMFILE if too few descriptors are left.
    func launch(
        _ start: @escaping @Sendable (ProcessIO) throws(ContainerError) -> ContainerProcess?
    ) async throws(ContainerError) -> (process: ContainerProcess?, streams: ContainerStreams) {
        try await BlockingPool.starting.run {
            () throws(ContainerError) -> (process: ContainerProcess?, streams: ContainerStreams) in
            try DescriptorBudget.shared.spend { () throws(ContainerError) in
                var streams = try ContainerStreams(self)
                let process = try start(streams.io)
                // The process has its own copies by now.
                streams.closeEndsOfProcess()
                return (process, streams)
            }
        }
    }
}

/// The standard streams of a process: its descriptors, and the caller's ends of its pipes.
struct ContainerStreams: Sendable {
    /// The caller's numbers of the descriptors that become 0, 1 and 2 of the process.
    private(set) var numbers: (input: CInt, output: CInt, error: CInt) = (0, 1, 2)
    /// Keeps these descriptors open until the process has its copies.
    private var ofProcess: [HeldDescriptor] = []
    private(set) var writer: InputWriter?
    private(set) var output: OutputSequence?
    private(set) var error: OutputSequence?
    private let input: ContainerInput
    private let outlets: (output: ContainerOutput.Outlet, error: ContainerOutput.Outlet)

    fileprivate init(_ choices: StreamChoices) throws(ContainerError) {
        input = choices.input
        let (output, error) = (choices.output, choices.error)
        outlets = (output.outlet, error.outlet)
        switch input.source {
        case .inherited: break
        case .descriptor(let number): numbers.input = number
        case .null: numbers.input = try null()
        case .bytes, .writer:
            let (reader, writer) = try makeStreamPipe()
            try makeNonBlocking(writer)
            ofProcess.append(reader)
            numbers.input = reader.number
            self.writer = InputWriter(writer)
        }
        (numbers.output, self.output) = try open(output.outlet, 1)
        if case .combined = error.outlet {
            numbers.error = numbers.output
        } else {
            (numbers.error, self.error) = try open(error.outlet, 2)
        }
    }

    private mutating func null() throws(ContainerError) -> CInt {
        let null = try openNullDevice()
        ofProcess.append(null)
        return null.number
    }

    private mutating func open(_ outlet: ContainerOutput.Outlet, _ own: CInt)
        throws(ContainerError) -> (CInt, OutputSequence?)
    {
        switch outlet {
        case .inherited: return (own, nil)
        case .descriptor(let number): return (number, nil)
        case .null: return (try null(), nil)
        case .combined:
            throw ContainerError(
                .invalidArgument, "the output cannot be combined with itself",
                hint: "combined is for the errors")
        case .sequence, .collected:
            let (reader, writer) = try makeStreamPipe()
            try makeNonBlocking(reader)
            ofProcess.append(writer)
            return (writer.number, OutputSequence(descriptor: reader))
        }
    }

    /// The streams as an option of a launch.
    fileprivate var io: ProcessIO {
        .descriptors(input: numbers.input, output: numbers.output, error: numbers.error)
    }

    /// Closes the process's ends.
    fileprivate mutating func closeEndsOfProcess() { ofProcess = [] }

    /// The writer of standard input, if the body writes it.
    var bodyInput: InputWriter? { if case .writer = input.source { writer } else { nil } }

    /// The standard output, if the body reads it.
    var bodyOutput: OutputSequence? { if case .sequence = outlets.output { output } else { nil } }

    /// The standard error, if the body reads it.
    var bodyError: OutputSequence? { if case .sequence = outlets.error { error } else { nil } }

    /// Starts the tasks that write given bytes and collect output.
    func begin() -> StreamTasks {
        var tasks = StreamTasks()
        if case .bytes(let bytes) = input.source, let writer {
            tasks.input = Task.detached {
                // The process need not read all of it.
                try? await writer.write(bytes)
                writer.close()
            }
        }
        tasks.output = Self.collecting(output, outlets.output)
        tasks.error = Self.collecting(error, outlets.error)
        return tasks
    }

    private static func collecting(_ sequence: OutputSequence?, _ outlet: ContainerOutput.Outlet)
        -> Task<CollectedOutput, Never>?
    {
        guard let sequence, case .collected(let limit) = outlet else { return nil }
        return Task.detached { await sequence.collect(limit: limit) }
    }

    /// Reads and drops what the body has not read, so that a process that still writes can end.
    func drained() -> [Task<CollectedOutput, Never>] {
        [bodyOutput, bodyError].compactMap { sequence in
            sequence.map { sequence in Task.detached { await sequence.collect(limit: 0) } }
        }
    }
}

/// The tasks that write and collect while a process runs.
struct StreamTasks: Sendable {
    var input: Task<Void, Never>?
    var output: Task<CollectedOutput, Never>?
    var error: Task<CollectedOutput, Never>?

    /// Cancels all of these tasks.
    func cancel() {
        input?.cancel()
        output?.cancel()
        error?.cancel()
    }
}
#endif
