// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import InitProgram
internal import RuntimeSpec

extension Hooks {
    /// The hooks of one list, in order.
    ///
    /// A hook without arguments gets its path as the only one; a hook without an environment gets
    /// `inherited`, or if nil the environment of the process that runs it.
    func planned(_ point: HookPoint, inheriting inherited: [ByteText]? = nil) -> [PlannedHook] {
        let list =
            switch point {
            case .prestart: prestart
            case .createRuntime: createRuntime
            case .createContainer: createContainer
            case .startContainer: startContainer
            case .poststart: poststart
            case .poststop: poststop
            }
        return (list ?? []).enumerated().map { index, hook in
            let arguments = hook.args ?? []
            return PlannedHook(
                point, index, path: hook.path,
                arguments: arguments.isEmpty
                    ? [ByteText(hook.path)] : arguments.map { ByteText($0) },
                environment: hook.env?.map { ByteText($0) } ?? inherited,
                timeoutSeconds: hook.timeout)
        }
    }

    /// The lists that `start` and `delete` need; nil if all of them are empty.
    var afterCreate: Hooks? {
        let kept = Hooks(
            startContainer: startContainer, poststart: poststart, poststop: poststop)
        let points: [HookPoint] = [.startContainer, .poststart, .poststop]
        return points.contains { !kept.planned($0).isEmpty } ? kept : nil
    }
}
#endif
