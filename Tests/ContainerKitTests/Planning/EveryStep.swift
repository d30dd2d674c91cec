// SPDX-License-Identifier: Apache-2.0

import Foundation
import InitProgram
import KernelVocabulary

@testable import ContainerKit

/// The steps of all plans that are kept as text in Plans: one sample of each, for the rules that hold for all.
///
/// A test reads the cases out of the sources: a step that is in no plan needs a config that asks for it.
enum EveryStep {
    static let plans: [LaunchPlan] =
        PlanCase.all.compactMap { try? $0.plan() } + ExecCase.all.compactMap { try? $0.plan() }
        + MountCase.all.compactMap { try? $0.plan() }

    static let ofTheChild: [InitStep] = distinct(
        byHand + plans.flatMap { $0.childSteps.map(\.step) }, { CaseName(of: $0.content) })

    /// Steps of a hook's own process, and of hosts that no case describes.
    ///
    /// And the bounding set up to CAP_CHECKPOINT_RESTORE: behind the last capability that a kernel may not
    /// know, there is nothing left to skip.
    private static let byHand: [InitStep] = [
        .identity(.limitBoundingSet(keeping: 1 << 5, last: 40)),
        .hook(.enterHostDirectory("/bundle")), .process(.permitPtrace),
        .mount(.changeMount(at: "/a/b", [MountChange(set: .readOnly, recursive: true)])),
    ]

    static let ofTheParent: [ParentStep] = distinct(
        plans.flatMap { ($0.parentSteps + $0.laterSteps).map(\.step) }, { CaseName(of: $0.action) })

    private static func distinct<Step>(_ steps: [Step], _ name: (Step) -> CaseName) -> [Step] {
        var seen: Set<CaseName> = []
        return steps.filter { seen.insert(name($0)).inserted }
    }
}

/// A case of a theme, such as `MountStep.attachMount`.
struct CaseName: Hashable, Comparable, CustomStringConvertible {
    let description: String

    private init(_ description: String) { self.description = description }

    init(of step: Any) {
        let name = Mirror(reflecting: step).children.first?.label ?? "\(step)"
        self.init("\(type(of: step)).\(name)")
    }

    static func < (one: CaseName, other: CaseName) -> Bool { one.description < other.description }

    /// Those that the themes in a folder declare, which are enums of a kind.
    static func declared(in folder: String, kind: String) -> [CaseName] {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../../Sources/\(folder)")
        let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
        var names: [CaseName] = []
        for case let file as URL in files ?? FileManager.DirectoryEnumerator() {
            guard let text = try? String(contentsOf: file, encoding: .utf8) else { continue }
            var theme: Substring?
            for line in text.split(separator: "\n") {
                if let match = line.firstMatch(of: /^(package )?enum (\w+): (\w+) \{/),
                    match.3 == kind
                {
                    theme = match.2
                }
                // The cases stand before the first property.
                if line == "}" || line.contains(" var ") { theme = nil }
                if let theme, let name = line.firstMatch(of: /^    case (\w+)/)?.1 {
                    names.append(CaseName("\(theme).\(name)"))
                }
            }
        }
        return names
    }
}
