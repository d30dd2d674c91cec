// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    static var completion: Command {
        let shells = Shell.allCases.map(\.rawValue)
        return Command(
            name: "completion", summary: "print the script that completes calls in a shell",
            operands: "<\(shells.joined(separator: "|"))>",
            details: "make install puts the scripts in their place.",
            perform: { invocation throws(ContainerError) in
                let name = invocation.arguments.operands[0]
                guard let shell = Shell(rawValue: name) else {
                    throw ContainerError(
                        .invalidArgument, "no completion for \(name.debugDescription)",
                        hint: "known are \(shells.joined(separator: ", "))")
                }
                let completion = CompletionScript(program: invocation.program)
                try StandardOutput.write(completion.text(for: shell))
                return 0
            })
    }
}
