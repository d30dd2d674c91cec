// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

extension Container {
    /// The plan by which the container was created, and how far its init has come.
    ///
    /// The plan is made again from the config that create kept; if it differs from the one that
    /// init follows, no step is marked. It waits for no lock: a create or start may be running, or
    /// hang.
    /// - Throws: `notFound`, or `state` if the record is damaged.
    public func progress() throws(ContainerError) -> ContainerProgress {
        guard let state = try StateDirectory.open(id, in: store.path.text),
            var record = try state.readRecord(id)
        else { throw ContainerError(.notFound, "container does not exist") }
        var page = try state.read(StateDirectory.progressName)
        if record.pid == 0, let process = page.flatMap(ProgressPage.process) {
            (record.pid, record.startTime) = process
        }
        let life = InitLife(of: record)
        // Read the page again: init may have written to it just before it ended.
        if case .ended = life { page = try state.read(StateDirectory.progressName) }
        let again = planAgain(record, state)
        var progress = ContainerProgress(id, record, page, life, again.plan)
        do throws(ContainerError) {
            progress.status = try Self.standing(record, state)
        } catch {
            progress.remarks.append("its state cannot be told: \(error)")
        }
        progress.remarks += again.remarks
        // Unless the container runs, the page may be about to be made or removed.
        if let status = progress.status, !record.canHave(page ?? []),
            status == .running || status == .paused || page?.isEmpty == false
        {
            progress.remarks.append(state.damage(to: StateDirectory.progressName).message)
        }
        if let remark = Self.remark(on: state, progress.status, record, page) {
            progress.remarks.append(remark)
        }
        return progress
    }

    /// A remark on whether a command is working on the container, which holds its lock.
    private static func remark(
        on state: borrowing StateDirectory, _ status: State.Status?, _ record: ContainerRecord,
        _ page: [UInt8]?
    ) -> String? {
        guard let isFree = try? state.tryLock() else { return nil }
        guard isFree else {
            return
                "a command is at work on it, or hangs; at which step that is, is recorded nowhere"
        }
        state.unlock()
        guard status == .creating else { return nil }
        let work = record.isRestored ? "restore" : "creation"
        let creator = page.flatMap(ProgressPage.creation).map { ", process \($0.creator)," } ?? ""
        return "its \(work) was broken off: the runtime\(creator) ended before all was done "
            + "(delete --force removes what is left)"
    }

    // MARK: The plan

    /// The plan of a container, if it can be made, and remarks on it.
    private func planAgain(_ record: ContainerRecord, _ state: borrowing StateDirectory) -> (
        plan: LaunchPlan?, remarks: [String]
    ) {
        guard !record.followsNoPlan else {
            return (
                nil, ["it comes from a checkpoint: CRIU makes its processes, by no plan of init"]
            )
        }
        guard !record.stepStarts.isEmpty else {
            let reason =
                record.isComplete
                ? "its record, of an earlier version, does not tell how create was called"
                : "create has not kept its config yet"
            return (nil, ["there is no plan to show: \(reason)"])
        }
        guard let choices = record.choices.flatMap(CallerChoices.init) else {
            return (
                nil, ["there is no plan to show: its record does not tell how create was called"]
            )
        }
        do throws(ContainerError) {
            let bundle = try Bundle(
                at: FilePath(record.bundle),
                configName: "\(state.path)/\(StateDirectory.configName)")
            let creation = try Creation(
                id, bundle, store, choices.options, startsAtOnce: choices.startsAtOnce,
                explainsOnly: true, hasUnbindableSources: choices.hasUnbindableSources,
                former: choices)
            return (
                creation.launch.plan,
                [
                    "the plan is made anew: from the config that create kept, with limits as update "
                        + "has changed them, and from the host and the bundle as they are now"
                ]
            )
        } catch {
            return (nil, ["the plan cannot be made anew: \(error)"])
        }
    }
}

/// The state of the init process.
enum InitLife: Equatable {
    /// No init process is known.
    case unborn
    /// Init lives, and has executed nothing since it was cloned.
    case preparing
    /// Init has executed its program; without a pid namespace of its own perhaps only the machine.
    case executed
    case ended
    case unknown(String)

    fileprivate init(of record: ContainerRecord) {
        guard record.pid > 0 else {
            self = .unborn
            return
        }
        do throws(SystemCallError) {
            guard let now = try stat(of: record.pid), now.hasStarted(at: record.startTime),
                !now.hasEnded
            else {
                self = .ended
                return
            }
            self = now.hasExecuted ? .executed : .preparing
        } catch {
            self = .unknown(ContainerError(error).description)
        }
    }
}

extension ContainerRecord {
    /// Whether a progress page can be this container's: it is whole, and names an instruction of
    /// its init.
    fileprivate func canHave(_ page: [UInt8]) -> Bool {
        guard let reached = ProgressPage.read(page) else { return false }
        let last = lastInstructions.last?.index ?? Int.max
        return reached.index <= last && reached.error >= 0
    }
}

extension ContainerProgress {
    /// Combines the record and the progress page.
    ///
    /// - Parameters:
    ///   - id: the container.
    ///   - record: its record.
    ///   - page: the contents of its progress page.
    ///   - life: whether init lives.
    ///   - plan: the plan made again, which may differ from the one that init follows.
    fileprivate init(
        _ id: String, _ record: ContainerRecord, _ page: [UInt8]?, _ life: InitLife,
        _ plan: LaunchPlan?
    ) {
        self.id = id
        created = record.created
        isRestored = record.followsNoPlan
        isTimed = record.isTimed
        pid = life == .ended || life == .unborn ? nil : record.pid
        self.plan = plan.map { ContainerPlan(launch: $0) }
        let reached = page.flatMap { record.canHave($0) ? ProgressPage.read($0) : nil }
        standing = Self.standing(record, reached, life)
        if case .unknown(let reason) = life {
            remarks.append("whether init runs cannot be told: \(reason)")
        }
        setTime(record, page ?? [], reached?.index ?? 0)
        guard !isRestored, let reached, standing != .unborn else { return }
        guard reached.index >= 0 else {
            if reached.error != 0 {
                error = ContainerError(
                    .initFailed,
                    "init was stopped before its first step by \(Errno(rawValue: reached.error).name)"
                )
            }
            return
        }
        instruction = reached.index
        step = record.stepStarts.lastIndex { $0 <= reached.index }
        var known = record.lastInstructions.first { $0.index == reached.index }
        if let plan {
            let image = plan.lowered(isTimed: record.isTimed)
            if let difference = plan.difference(from: record, image) {
                remarks.append("no step is marked: \(difference)")
            } else {
                isMarked = step != nil
                known = plan.recordedInstructions(image, from: reached.index).first ?? known
            }
        }
        if reached.error != 0, standing == .failed {
            error = ContainerError(known, errno: reached.error, in: nil)
        }
        field = known?.origin.path
        call = known.map { $0.call.isEmpty ? $0.note : "\($0.call)(\($0.arguments))" }
    }

    /// How far init has come.
    ///
    /// - Parameters:
    ///   - record: the container's record.
    ///   - reached: what its progress page shows; nil if it has none.
    ///   - life: whether init lives.
    /// - Returns: the state of init.
    static func standing(
        _ record: ContainerRecord, _ reached: (index: Int, error: CInt)?, _ life: InitLife
    ) -> Standing {
        let execution = record.lastInstructions.first(where: \.isExecution)
        switch life {
        case .unborn: return .unborn
        case .unknown: return .unknown
        case .executed where record.hasPidNamespace: return .running
        case .executed, .preparing:
            if record.followsNoPlan { return record.isComplete ? .running : .preparing }
            guard let reached else { return life == .executed ? .running : .unknown }
            if reached.error != 0 { return .failed }
            // A name without a slash has an execve for each directory of PATH.
            if life == .executed, let execution, reached.index >= execution.index {
                return .running
            }
            guard record.isComplete, reached.index >= record.startWaitIndex else {
                return .preparing
            }
            return reached.index == record.startWaitIndex ? .waiting : .starting
        case .ended:
            if record.followsNoPlan { return record.isComplete ? .finished : .ended }
            guard let reached else { return .unknown }
            if reached.error != 0 { return .failed }
            guard let execution, reached.index >= execution.index else { return .ended }
            return .finished
        }
    }

    /// Sets the time since which init is at its step, or the latest known time before that.
    private mutating func setTime(_ record: ContainerRecord, _ page: [UInt8], _ index: Int) {
        time = record.created
        guard record.isComplete, !isRestored,
            let reported = ProgressPage.time(of: .reported, page)
        else { return }
        time = reported.description
        isTimeExact = standing == .waiting
        guard index > record.startWaitIndex, let ordered = ProgressPage.time(of: .ordered, page)
        else { return }
        time = ordered.description
    }
}

extension LaunchPlan {
    /// The difference between this plan's init and the one that create started; nil if none is
    /// known.
    fileprivate func difference(from record: ContainerRecord, _ image: ProgramImage) -> String? {
        let starts = image.stepStarts
        let former = record.stepStarts
        guard starts.count == former.count else {
            return "the plan made anew has \(starts.count) steps for init, and create's had "
                + "\(former.count)"
        }
        if let step = starts.indices.first(where: { starts[$0] != former[$0] }) {
            // The step before has become longer or shorter.
            return "step \(step) of the plan made anew has other instructions than create's"
        }
        let last = record.lastInstructions
        let own = last.first.map { recordedInstructions(image, from: $0.index) } ?? []
        for (one, other) in zip(own, last)
        where one.index != other.index || one.call != other.call || one.origin != other.origin {
            return "instruction \(one.index) of the plan made anew is another than create's"
        }
        return last.isEmpty || own.count == last.count
            ? nil : "the plan made anew ends in another way than create's"
    }
}
#endif
