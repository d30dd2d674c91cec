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
    ///
    /// - Parameters:
    ///   - point: the list.
    ///   - inherited: the environment for hooks without one.
    ///   - variable: the variable of a trace, for each hook that does not set it; hooks without an
    ///     environment get it only with `inherited`.
    /// - Returns: the hooks.
    func planned(
        _ point: HookPoint, inheriting inherited: [ByteText]? = nil,
        tracedBy variable: ByteText? = nil
    ) -> [PlannedHook] {
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
                environment: Self.environment(hook, inherited, variable),
                timeoutSeconds: hook.timeout)
        }
    }

    private static func environment(
        _ hook: Hook, _ inherited: [ByteText]?, _ variable: ByteText?
    ) -> [ByteText]? {
        let own = hook.env?.map { ByteText($0) }
        let name = "\(LaunchTrace.variableName)="
        guard let variable, own?.contains(where: { $0.begins(with: name) }) != true,
            let environment = own ?? inherited?.filter({ !$0.begins(with: name) })
        else { return own ?? inherited }
        if own != nil { return environment + [variable] }
        // A vendor's state says nothing of another trace.
        let replaced = inherited?.first { $0.begins(with: name) }
        if let replaced, traceID(replaced) == traceID(variable) { return environment + [variable] }
        return environment.filter { !$0.begins(with: LaunchTrace.stateName + "=") } + [variable]
    }

    /// The trace that the variable names; nil if its value is invalid.
    private static func traceID(_ variable: ByteText) -> String? {
        let value = variable.bytes.dropFirst(LaunchTrace.variableName.utf8.count + 1)
        return TraceContext(traceparent: String(decoding: value, as: UTF8.self))?.traceID
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
