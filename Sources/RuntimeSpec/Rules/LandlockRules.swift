// SPDX-License-Identifier: Apache-2.0

/// The rules of `Landlock`, which stands at a path of its own.
let landlockRules: [@Sendable (Landlock, JSONPath, inout [SpecError]) -> Void] = [
    checkThatSomethingIsHandled, checkPathRules, checkPortRules,
]

private let section = "landlock(7)"

/// The kernel refuses a ruleset that handles nothing.
private func checkThatSomethingIsHandled(
    _ landlock: Landlock, _ path: JSONPath, _ found: inout [SpecError]
) {
    let ruleset = landlock.ruleset
    let handlesFiles = ruleset.handledAccessFS?.isEmpty == false
    let handlesPorts = ruleset.handledAccessNet?.isEmpty == false
    guard !handlesFiles, !handlesPorts, ruleset.scoped?.isEmpty ?? true else { return }
    let message = "denies nothing: handledAccessFS, handledAccessNet or scoped must name something"
    found.append(SpecError(path.appending(key: "ruleset"), message, section: section))
}

/// A rule for files allows only what is denied otherwise, at absolute paths.
private func checkPathRules(_ landlock: Landlock, _ path: JSONPath, _ found: inout [SpecError]) {
    let list = path.appending(key: "rules").appending(key: "pathBeneath")
    for (index, rule) in (landlock.rules?.pathBeneath ?? []).enumerated() {
        let place = list.appending(index: index)
        check(
            rule.allowedAccess, landlock.ruleset.handledAccessFS, "handledAccessFS", place, &found)
        let paths = place.appending(key: "paths")
        if rule.paths.isEmpty {
            found.append(SpecError(paths, "must not be empty", section: section))
        }
        for (position, text) in rule.paths.enumerated() where !text.isAbsolutePath {
            let message = "\(quoted(text)) is not an absolute path"
            found.append(SpecError(paths.appending(index: position), message, section: section))
        }
    }
}

/// A rule for ports allows only what is denied otherwise.
private func checkPortRules(_ landlock: Landlock, _ path: JSONPath, _ found: inout [SpecError]) {
    let list = path.appending(key: "rules").appending(key: "netPort")
    for (index, rule) in (landlock.rules?.netPort ?? []).enumerated() {
        let place = list.appending(index: index)
        check(
            rule.allowedAccess, landlock.ruleset.handledAccessNet, "handledAccessNet", place,
            &found)
        if rule.ports.isEmpty {
            let ports = place.appending(key: "ports")
            found.append(SpecError(ports, "must not be empty", section: section))
        }
    }
}

private func check<Word: Vocabulary & Equatable>(
    _ allowed: [Word], _ handled: [Word]?, _ name: String, _ place: JSONPath,
    _ found: inout [SpecError]
) {
    let list = place.appending(key: "allowedAccess")
    if allowed.isEmpty {
        found.append(SpecError(list, "must not be empty", section: section))
    }
    for (index, word) in allowed.enumerated() where handled?.contains(word) != true {
        let message =
            "\(quoted(word.rawValue)) is not in ruleset.\(name), so it is allowed everywhere"
        found.append(SpecError(list.appending(index: index), message, section: section))
    }
}
