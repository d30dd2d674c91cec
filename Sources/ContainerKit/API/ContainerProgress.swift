// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
public import RuntimeSpec

/// The plan of an existing container, and how far its init has come.
///
/// All is taken from the container's record and init's progress page; `remarks` say what they lack.
public struct ContainerProgress: Sendable {
    /// The state of init.
    public enum Standing: String, Sendable {
        /// Create has not started init yet, or failed before.
        case unborn
        /// Init executes the steps before the wait for start.
        case preparing
        /// Init waits for start.
        case waiting
        /// Init was told to start, but has not executed its program yet.
        case starting
        /// Init has executed its program, which runs.
        case running
        /// Init stopped at a step with an error.
        case failed
        /// Init ended before its program without an error: it was killed.
        case ended
        /// Init had executed its program, and the process has ended.
        case finished
        /// Whether init runs, or how far it has come, is unknown.
        case unknown
    }

    /// The container's ID.
    public let id: String
    /// The container's state; nil if it cannot be determined.
    public internal(set) var status: State.Status?
    /// The time of creation, in RFC 3339.
    public let created: String
    /// The pid of its init, if there is one.
    public let pid: Int32?
    /// The state of init.
    public let standing: Standing
    /// The plan, made again; nil if that is not possible.
    public let plan: ContainerPlan?
    /// The index of init's present or last step in its column of create's plan, from 0; nil if
    /// unknown.
    public internal(set) var step: Int?
    /// Whether `plan` is the plan that init follows, so that its step can be marked.
    public internal(set) var isMarked = false
    /// Whether init notes when its steps begin.
    var isTimed = false
    /// The config field behind the step, if known.
    public internal(set) var field: String?
    /// The system call that init makes, or made last.
    public internal(set) var call: String?
    /// The error that stopped init.
    public internal(set) var error: ContainerError?
    /// The time since which init is at its step, in RFC 3339; a lower bound unless `isTimeExact`.
    public internal(set) var time = ""
    /// Whether `time` is exact.
    public internal(set) var isTimeExact = false
    /// Remarks on the above: how the plan was made, and what is unknown.
    public internal(set) var remarks: [String] = []

    /// The instruction that init has reached.
    var instruction: Int?
    /// Whether the container comes from a checkpoint, so that its init follows no plan.
    let isRestored: Bool
}

extension ContainerProgress {
    /// The plan as text, in the form of `ContainerPlan.explained`, after a few lines on the state
    /// of init; the mark `=>` shows init's step.
    public func explained(includingCalls: Bool = false) -> String {
        let status = status.map { "is \($0.rawValue)" } ?? "is in a state that cannot be told"
        var lines = [
            "Container \(id) \(status); its \(isRestored ? "restore" : "creation") began at "
                + "\(created).",
            "- \(isRestored ? restoreSentence : sentence)",
        ]
        lines += remarks.map { "- \($0)" }
        let head = lines.joined(separator: "\n") + "\n"
        guard let plan else { return head }
        return head + "\n" + plan.launch.explained(includingCalls: includingCalls, mark: mark)
    }

    /// The plan and the state of init as JSON text, for programs.
    ///
    /// The shape is that of `ContainerPlan.explainedJSON`, with `"here": true` at init's step,
    /// preceded by a member `container`: `{"id", "created", "status", "pid", "standing", "step",
    /// "field", "call", "error", "time", "isTimeExact", "remarks"}`. Unknown values are left out;
    /// `step` counts from 1.
    public func explainedJSON(includingCalls: Bool = false) -> String {
        var object: JSONObject = ["id": .string(id), "created": .string(created)]
        if let status { object.append("status", .string(status.rawValue)) }
        if let pid { object.append("pid", .integer(Int64(pid))) }
        object.append("standing", .string(standing.rawValue))
        if let step { object.append("step", .integer(Int64(step + 1))) }
        if let field { object.append("field", .string(field)) }
        if let call { object.append("call", .string(call)) }
        if let error { object.append("error", .string(error.description)) }
        object.append("time", .string(time))
        object.append("isTimeExact", .bool(isTimeExact))
        object.append("remarks", .array(remarks.map { .string($0) }))
        var whole: JSONObject = ["container": .object(object)]
        for member in plan?.launch.columns(includingCalls: includingCalls, mark: mark).members ?? []
        {
            whole.append(member.key, member.value)
        }
        return String(decoding: JSONValue.object(whole).encoded(pretty: true), as: UTF8.self)
    }

    private var mark: PlanMark? {
        guard isMarked, let step, let instruction else { return nil }
        return PlanMark(step: step, instruction: instruction, isTimed: isTimed)
    }

    /// One line on the state of init.
    private var sentence: String {
        let process = "init, process \(pid ?? 0),"
        return switch standing {
        case .unborn: "there is no init yet"
        case .preparing: "\(process) is at \(place); it came there after \(time)"
        case .waiting: "\(process) waits for start since \(time), at \(place)"
        case .starting:
            "\(process) was told to start, and is at \(place); it came there after \(time)"
        case .running: "\(process) has handed over to its program, after \(time)"
        case .failed:
            "init stopped, after \(time), at \(place): \(error?.description ?? "the errno is not known")"
        case .ended:
            "init ended, after \(time), at \(place), without an error of its own: something killed it"
        case .finished:
            "init has ended, after \(time); it had come to its program, and a kill at that very moment "
                + "would look as if that had run"
        case .unknown where step == nil:
            "how far init\(pid.map { ", process \($0)," } ?? "") has come is not known"
        case .unknown: "the last that init told is that it came to \(place), after \(time)"
        }
    }

    /// One line on a restored init, which makes no steps.
    private var restoreSentence: String {
        let process = "init, process \(pid ?? 0),"
        return switch standing {
        case .unborn: "CRIU has made no process yet"
        case .preparing, .waiting, .starting: "\(process) is there, but the restore is not complete"
        case .running: "\(process) goes on from its checkpoint"
        case .failed, .ended: "init has ended before the restore was complete"
        case .finished: "init has ended, after it went on from its checkpoint"
        case .unknown: "whether init goes on from its checkpoint is not known"
        }
    }

    /// The position of init in its column.
    private var place: String {
        guard let step else {
            return instruction == nil ? "what precedes its first step" : "a step that is not known"
        }
        var text = "step \(step + 1)"
        // At the first instruction, it may as well have done nothing yet.
        if instruction == 0 { text += ", or before" }
        guard !isMarked else { return text }
        let known = [field, call].compactMap(\.self)
        return known.isEmpty ? text : text + " (\(known.joined(separator: ": ")))"
    }
}
#endif
