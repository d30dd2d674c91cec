// SPDX-License-Identifier: Apache-2.0

internal import RuntimeSpec

/// Fields that are valid but not acted on yet.
///
/// They stop `create` instead of being ignored; README.md lists them. A field leaves this file with
/// the change that implements it.
enum Unsupported {
    /// All such fields of `spec`.
    static func fields(of spec: Spec) -> [SpecError] {
        var found: [SpecError] = []
        func refuse(_ condition: Bool, _ path: String) {
            if condition { found.append(SpecError("\(path)", "not implemented yet")) }
        }
        guard let linux = spec.linux else { return found }
        // The listener of the filter that the hook's process gets would be nobody's.
        let runsHook = !(spec.hooks?.startContainer ?? []).isEmpty
        refuse(runsHook && linux.seccomp?.notifies == true, "hooks.startContainer")
        return found
    }
}
