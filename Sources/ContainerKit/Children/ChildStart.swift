// SPDX-License-Identifier: Apache-2.0

// Children: starts processes of the runtime, and tracks their progress.
//
//   ChildStart         how a child is started: born empty, or as a copy of the runtime
//   MachineExecutable  the executable of a child that is born empty
//   SealedExecutable   starts the runtime again from a sealed file, if children must be copies
//   LoadedProgram      a child's program, laid out at its address
//   ProgressPage       the page to which a child writes its progress
//   PathLook           a process that finds out whether file systems answer
//   Guardian           a process that kills another one if the runtime dies
//   ScopeKeeper        a process that holds a systemd scope until init is in it

#if os(Linux)
internal import CLinux
internal import InitMachine
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// A child that runs a program.
struct ChildProcess {
    var pid: Int32
    /// Its pidfd, which the caller must close.
    var pidfd: CInt
    /// The refusal that made it a copy of this process; nil if it was born empty.
    var refused: SystemCallError?
}

/// Starts a child that runs a program: born empty, or if that is refused as a copy of this process.
///
/// The program is not needed at the beginning: it is made and written while the kernel makes the
/// child. See Decisions/0028.
struct ChildStart {
    /// The descriptors of the program, by their meaning.
    let inputs: DescriptorTable<CInt>
    let page: ProgressPage
    /// This process's end of the rendezvous; required for a child with its own namespaces or
    /// cgroup.
    var rendezvous: CInt = -1
    /// The child's new namespaces.
    var kinds: NamespaceSet = []
    /// The v2 cgroup directory that the child is cloned into.
    var cgroup: CInt?
    /// When to give up waiting for the child; nil means never.
    var deadline: Deadline?
    /// How many descriptors from 3 on the caller passes to the container's process.
    var preservedDescriptorCount = 0

    init(inputs: DescriptorTable<CInt>, _ page: ProgressPage) {
        self.inputs = inputs
        self.page = page
    }

    /// The result of an attempt to start a child that is born empty.
    enum Outcome {
        case child(ChildProcess)
        /// A sysctl, a filter or a security module forbids it; a copy may be possible.
        case refused(SystemCallError)
    }

    /// Starts the child.
    ///
    /// - Returns: the child; it may have ended already, as the progress page then shows.
    /// - Throws: the refusal of a call before the program began.
    func start(_ image: ProgramImage) throws(SystemCallError) -> ChildProcess {
        let begun = try begin()
        do throws(SystemCallError) {
            try load(image, for: begun)
        } catch {
            abandon(begun)
            throw error
        }
        switch try finish(begun, image) {
        case .child(let child): return child
        case .refused(let refusal): return try copy(image, refusal)
        }
    }

    /// Starts the child as a copy of this process.
    func copy(_ image: ProgramImage, _ refusal: SystemCallError) throws(SystemCallError)
        -> ChildProcess
    {
        page.reset()
        let loaded = LoadedProgram(image, inputs: inputs, progress: page)
        var child = try loaded.start(kinds, intoCgroup: cgroup)
        child.refused = refusal
        return child
    }

    /// Whether a sysctl, a filter or a security module forbids this way to start a child, as
    /// opposed to a lack of memory or descriptors.
    private static func forbidsBornEmpty(_ error: SystemCallError) -> Bool {
        [.permissionDenied, .notPermitted, .noFunction, .invalidArgument].contains(error.errno)
    }

    /// The refusal to expect for a child that is born empty, as far as it can be known without trying.
    static func expectedRefusal() -> SystemCallError? {
        do throws(SystemCallError) {
            try MachineExecutable.with { (executable) throws(SystemCallError) in
                try checkExecution(of: executable)
            }
            return nil
        } catch {
            return forbidsBornEmpty(error) ? error : nil
        }
    }

    /// A start that has begun; the child does not run its program before `finish`.
    enum Begun {
        /// A stepping stone will clone the child, with its namespaces and cgroup.
        case stone(Stone)
        /// No stepping stone is needed: `finish` starts the child.
        case due
        /// The child can only be a copy.
        case refused(SystemCallError)
    }

    /// A stepping stone, and the file of the image that it maps.
    struct Stone {
        let process: ChildProcess
        let prologue: Prologue
        let file: ImageFile
    }

    /// Starts the stepping stone, if one is needed.
    ///
    /// The caller can work on while the kernel makes the namespaces.
    func begin() throws(SystemCallError) -> Begun {
        guard !kinds.isEmpty || cgroup != nil else { return .due }
        return try trying { (executable, rights) throws(SystemCallError) -> Begun in
            var prologue = prologue(rights)
            prologue.clone = Prologue.Clone(kinds, intoCgroup: cgroup != nil)
            let (outcome, file) = try startBornEmpty(executable, rights, &prologue)
            return switch outcome {
            case .child(let process):
                .stone(Stone(process: process, prologue: prologue, file: file))
            case .refused(let refusal): .refused(refusal)
            }
        } refused: {
            .refused($0)
        }
    }

    /// Writes the program for a child that is being made, before it may go on.
    func load(_ image: ProgramImage, for begun: Begun) throws(SystemCallError) {
        guard case .stone(let stone) = begun else { return }
        try stone.file.append(image, allInputs)
        // The child has the file open; closing it here frees a number for the descriptor that the
        // child sends.
        stone.file.close()
    }

    /// Lets a child with a loaded program go on, or starts a child that needs no stepping stone.
    func finish(_ begun: Begun, _ image: ProgramImage) throws(SystemCallError) -> Outcome {
        switch begun {
        case .refused(let refusal): return .refused(refusal)
        case .stone(let stone):
            do throws(SystemCallError) {
                if let child = try take(stone.process, goesOn: true) { return .child(child) }
            } catch {
                // The stepping stone's own error says more.
                guard page.error != 0 else { throw error }
            }
            return try failure(of: stone.prologue)
        case .due:
            return try trying { (executable, rights) throws(SystemCallError) -> Outcome in
                var prologue = prologue(rights)
                return try startBornEmpty(executable, rights, &prologue, image).outcome
            } refused: {
                .refused($0)
            }
        }
    }

    /// Ends a start that has begun.
    func abandon(_ begun: Begun) {
        guard case .stone(let stone) = begun,
            let child = try? take(stone.process, goesOn: false)
        else { return }
        Self.reap(child)
    }

    private func trying<Value>(
        _ body: (CInt, CallerRights) throws(SystemCallError) -> Value,
        refused: (SystemCallError) -> Value
    ) throws(SystemCallError) -> Value {
        guard page.file >= 0 else {
            return refused(SystemCallError("memfd_create", "progress page", errno: .notPermitted))
        }
        guard let rights = CallerRights.ofThisThread() else {
            return refused(SystemCallError("execveat", "user ids differ", errno: .notPermitted))
        }
        do throws(SystemCallError) {
            return try MachineExecutable.with { (executable) throws(SystemCallError) in
                try body(executable, rights)
            }
        } catch {
            guard error.call == "memfd_create" || error.call == "fcntl",
                Self.forbidsBornEmpty(error)
            else { throw error }
            return refused(error)
        }
    }

    private func prologue(_ rights: CallerRights) -> Prologue {
        var prologue = Prologue()
        prologue.preservedDescriptorCount = preservedDescriptorCount
        prologue.capabilities = rights.capabilities
        prologue.ambient = rights.ambient
        // In a new user namespace, the runtime must first write files of the child; without ptrace
        // permission they would belong to root.
        prologue.forbidsPtrace = !kinds.contains(.user)
        return prologue
    }

    /// The descriptors of the program and of its prologue.
    private var allInputs: DescriptorTable<CInt> {
        var inputs = inputs
        if let cgroup { inputs[.cgroupDirectory] = cgroup }
        return inputs
    }

    /// Starts a process that is born empty; without an `image` it waits before it enters one.
    private func startBornEmpty(
        _ executable: CInt, _ rights: CallerRights, _ prologue: inout Prologue,
        _ image: ProgramImage? = nil
    ) throws(SystemCallError) -> (outcome: Outcome, file: ImageFile) {
        let inputs = allInputs
        let kept = inputs.inherited
        prologue.lowDescriptors = kept.filter {
            (0..<3 + CInt(preservedDescriptorCount)).contains($0)
        }
        let file = try ImageFile(prologue.image, inputs)
        if let image { try file.append(image, inputs) }
        let child = try LoadedProgram.startBornEmpty(
            executable, image: file.number, size: file.firstSize, page: page, keeping: kept, rights)
        guard let refusal = child.refused else { return (.child(child), file) }
        Self.reap(child)
        guard Self.forbidsBornEmpty(refusal) else { throw refusal }
        return (.refused(refusal), file)
    }

    private static func reap(_ child: ChildProcess) {
        let process = OwnedDescriptor(taking: child.pidfd)
        // The host program may have taken its status; nothing depends on it.
        _ = try? waitProcess(process.number)
    }

    /// Receives the process that the stepping stone has cloned, and ends the stepping stone.
    private func take(_ stone: ChildProcess, goesOn: Bool) throws(SystemCallError) -> ChildProcess?
    {
        defer {
            // The stepping stone has nothing left to do, and may be stopped.
            try? sendSignal(stone.pidfd, Signal.kill.rawValue)
            Self.reap(stone)
        }
        return try page.receive(
            .first, of: stone.pidfd, from: rendezvous, goesOn: goesOn, before: deadline)
    }

    /// The reason why the stepping stone made no clone.
    private func failure(of prologue: Prologue) throws(SystemCallError) -> Outcome {
        let errno = Errno(rawValue: page.error)
        guard page.error != 0 else {
            throw SystemCallError("execveat", "init, whose start was killed", errno: .canceled)
        }
        let image = prologue.image
        let place = image.packed.count + page.index
        guard image.packed.indices.contains(place),
            case .call(let call, _, _, _, _) = image.instruction(place)
        else { throw SystemCallError("mmap", "init's image", errno: errno) }
        guard call.name == "clone3" else {
            let refusal = SystemCallError(call.name, "", errno: errno)
            if call.name == "close_range" { throw refusal }
            // The exec took away rights that the call needs; a copy of this process still has them.
            return .refused(refusal)
        }
        let flags = kinds.cloneFlags.union(cgroup == nil ? .empty : .intoCgroup)
        throw SystemCallError(call.name, flags.isEmpty ? "" : flags.description, errno: errno)
    }
}

/// The file of a child's image: the prologue, followed by the program that it then
/// enters.
final class ImageFile {
    private var file: OwnedDescriptor?
    private let first: LoadedProgram

    init(_ prologue: ProgramImage, _ inputs: DescriptorTable<CInt>) throws(SystemCallError) {
        let file = try memoryFile("image", for: .data)
        first = LoadedProgram(prologue: prologue, inputs: inputs, entering: file.number)
        try first.write(to: file.number)
        self.file = consume file
    }

    /// The descriptor, or -1 if it is closed.
    var number: CInt { file?.number ?? -1 }

    /// The size of the prologue in bytes.
    var firstSize: Int { first.size }

    /// Adds the program; the child does not read it before it is told to go on.
    func append(
        _ image: ProgramImage, _ inputs: DescriptorTable<CInt>
    ) throws(SystemCallError) {
        try LoadedProgram(image, inputs: inputs, after: first).write(to: number)
    }

    /// Closes the descriptor: the child has one of its own.
    func close() { file = nil }
}

extension ProgressPage {
    /// Receives the process that a child clones to go on in its place, and lets it go on.
    ///
    /// Its pid is taken from the kernel, because others may write to the page. If no pidfd comes,
    /// or it must not go on, the process is told to end.
    ///
    /// - Returns: the cloned process; nil if the first one ends without cloning it.
    func receive(
        _ sibling: Sibling, of first: CInt, from rendezvous: CInt, goesOn: Bool = true,
        before deadline: Deadline? = nil
    ) throws(SystemCallError) -> ChildProcess? {
        var isThere = false
        defer { tell(sibling, goOn: isThere) }
        var entries = [PollEntry(rendezvous, .readable), PollEntry(first, .readable)]
        let time = deadline?.remainingMilliseconds ?? -1
        guard try poll(&entries, timeoutMilliseconds: time) > 0 else {
            throw SystemCallError("clone3", "a process of init", errno: .timedOut)
        }
        if !entries[0].seen.contains(.readable) {
            // Anything it sent before its end can be read by now.
            entries = [PollEntry(rendezvous, .readable)]
            guard try poll(&entries, timeoutMilliseconds: 0) > 0 else { return nil }
        }
        let process = try receiveDescriptor(from: rendezvous)
        guard let pid = try numberOfChild(process.number) else { return nil }
        isThere = goesOn
        return ChildProcess(pid: pid, pidfd: process.release())
    }
}

/// A child that does one task for this process; it ends when its socket is closed.
struct HelperChild: ~Copyable {
    let page: ProgressPage
    private let rendezvous: OwnedDescriptor
    /// The child's end of the socket, until the child has it.
    private var childEnd: OwnedDescriptor?

    init() throws(SystemCallError) {
        let page = try ProgressPage.inMemory()
        let (ours, theirs) = try socketPair().numbers()
        self.page = page
        rendezvous = OwnedDescriptor(taking: ours)
        childEnd = OwnedDescriptor(taking: theirs)
    }

    /// Starts the child; may be called once.
    ///
    /// In addition to `inputs`, its program has the rendezvous, and the gaps around that and
    /// `.kept` ones, so that it can close all other descriptors.
    mutating func start(
        _ image: ProgramImage, inputs: DescriptorTable<CInt> = [:], _ kinds: NamespaceSet = [],
        intoCgroup cgroup: CInt? = nil
    ) throws(SystemCallError) -> ChildProcess {
        guard let end = childEnd.take() else { preconditionFailure("started before") }
        var inputs = inputs
        let kept = ([end.number] + (0..<3).compactMap { inputs[.kept($0)] }).sorted()
        inputs[.rendezvous] = end.number
        for index in 0...kept.count {
            inputs[.gapStart(phase: 0, index)] = index == 0 ? 0 : kept[index - 1] + 1
            inputs[.gapEnd(phase: 0, index)] = index == kept.count ? CInt.max : kept[index] - 1
        }
        var start = ChildStart(inputs: inputs, page)
        start.rendezvous = rendezvous.number
        start.kinds = kinds
        start.cgroup = cgroup
        let child = try start.start(image)
        withExtendedLifetime(end) {}
        return child
    }

    /// Whether the child has written a byte, and nothing else.
    borrowing func hasTold() -> Bool {
        (try? readAvailable(rendezvous.number, limitBytes: 1)) == [1]
    }

    /// Lets a child that keeps a scope leave another process in its place, and waits until that is
    /// there.
    borrowing func replaceByOrphan(_ child: CInt) throws(SystemCallError) {
        try sendPacket([1], over: rendezvous.number, named: "the process in the scope")
        var entries = [PollEntry(rendezvous.number, .readable)]
        // The end of both processes is readable, too.
        while try poll(&entries) == 0 {}
        guard try readAvailable(rendezvous.number, limitBytes: 1) == [1] else {
            throw SystemCallError(
                "clone3", "the process in the scope",
                errno: page.error == 0 ? .canceled : Errno(rawValue: page.error))
        }
    }
}

extension DescriptorTable<CInt> {
    /// The descriptors, without the ends of gaps.
    fileprivate var inherited: [CInt] {
        entries.compactMap { entry in
            switch entry.descriptor {
            case .gapStart, .gapEnd: nil
            default: entry.value
            }
        }
    }
}
#endif
