// SPDX-License-Identifier: Apache-2.0

import InitProgram
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("The plan of Landlock")
struct LandlockPlanTests {
    private static func steps(_ landlock: Landlock, abi: Int) throws -> [String] {
        var steps = StepList()
        let plan = try LandlockPlan(landlock, abi: abi)
        plan.addRuleset(to: &steps)
        plan.addRestriction(to: &steps)
        return steps.steps.map(\.step.sentence)
    }

    @Test(
        "with best effort, what the kernel's version of Landlock does not know is left out of all")
    func masked() throws {
        let all = Landlock.everything
        #expect(try Self.steps(all, abi: 6).count == 5)
        let plan = try LandlockPlan(all, abi: 3)
        #expect(
            plan.warnings == [
                """
                annotations["org.swrunc.landlock"]: version 3 of Landlock, which this kernel has, \
                does not know ioctl_dev, bind_tcp, connect_tcp, abstract_unix_socket, signal: not \
                denied
                """
            ])
        let steps = try Self.steps(all, abi: 3)
        #expect(
            steps == [
                """
                make a Landlock ruleset that denies execute, write_file, read_file, read_dir, \
                remove_dir, remove_file, make_char, make_dir, make_reg, make_sock, make_fifo, \
                make_block, make_sym, refer, truncate
                """, "allow at /usr: execute, read_file",
                "allow at /data, if it is there: truncate",
                "put this process under the Landlock ruleset",
            ])
    }

    @Test("with best effort, a kernel without Landlock denies nothing, and a warning says so")
    func without() throws {
        #expect(try Self.steps(.everything, abi: 0) == [])
        let plan = try LandlockPlan(.everything, abi: 0)
        #expect(plan.warnings.count == 1 && plan.warnings[0].contains("nothing is denied"))
    }

    @Test("a ruleset of which the kernel knows nothing is left out")
    func nothingLeft() throws {
        let ports = Landlock(ruleset: Landlock.Ruleset(handledAccessNet: [.bind]))
        #expect(try Self.steps(ports, abi: 3) == [])
        #expect(try Self.steps(ports, abi: 4).count == 2)
    }

    @Test("without best effort, a right that the kernel does not know is an error that names it")
    func demanded() throws {
        var rules = Landlock.everything
        rules.disableBestEffort = true
        #expect(try Self.steps(rules, abi: 6).count == 5)
        for (abi, field, words) in [
            (5, ".ruleset.scoped[0]", "\"abstract_unix_socket\" is of version 6"),
            (2, ".ruleset.handledAccessFS[14]", "and this kernel has version 2"),
            (0, "", "this kernel has no Landlock"),
        ] {
            let error = try #require(throws: ContainerError.self) {
                _ = try LandlockPlan(rules, abi: abi)
            }
            #expect(error.code == .unsupported)
            #expect(error.field == "annotations[\"org.swrunc.landlock\"]" + field)
            #expect(error.message.contains(words), "\(error)")
        }
    }

    @Test("features tell the newest version of Landlock of which a right is known")
    func features() {
        #expect(LandlockPlan.knownABI == 6)
        #expect(RuntimeFeatures.current().annotations?["org.swrunc.landlock.abi"] == "6")
    }

    @Test("an annotation that is no rules of Landlock is refused at its field")
    func annotation() throws {
        var spec = Spec.template
        spec.annotations = ["org.swrunc.landlock": #"{"ruleset":{"scoped":["x"]}}"#]
        let error = try #require(throws: ContainerError.self) {
            _ = try spec.followingAnnotations()
        }
        #expect(error.code == .invalidSpec)
        #expect(
            error.description.contains(#"annotations["org.swrunc.landlock"].ruleset.scoped[0]: "#))
    }
}

extension Landlock {
    /// Every right, and a rule of each kind.
    static let everything = Landlock(
        ruleset: Ruleset(
            handledAccessFS: FileAccess.allCases, handledAccessNet: NetworkAccess.allCases,
            scoped: Scope.allCases),
        rules: Rules(
            pathBeneath: [
                PathRule(allowedAccess: [.execute, .readFile], paths: ["/usr"]),
                PathRule(
                    allowedAccess: [.truncate, .deviceCommand], paths: ["/data"], optional: true),
            ],
            netPort: [PortRule(allowedAccess: [.bind, .connect], ports: [443])]))
}
