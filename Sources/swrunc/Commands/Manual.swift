// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    private static let names = Flag("list", nil, .toggle, "print the commands that have a page")

    static var manual: Command {
        Command(
            name: "manual", summary: "print a manual page, as roff", operands: "[command]",
            operandCount: 0...1,
            details: """
                Without a command it is the page of the whole program. make install puts all of
                them in their place; one is read like this: PROGRAM manual run | man -l -
                """,
            flags: [names],
            perform: { invocation throws(ContainerError) in
                if invocation.arguments.has(names) {
                    let lines = Name.allCases.map { $0.rawValue + "\n" }
                    try StandardOutput.write(lines.joined())
                    return 0
                }
                guard let name = invocation.arguments.operands.first else {
                    try StandardOutput.write(ManualPage.of(program: invocation.program))
                    return 0
                }
                guard let command = Command.named(name) else {
                    throw ContainerError(
                        .invalidArgument, "no command \(name.debugDescription)",
                        hint: "--list prints them")
                }
                try StandardOutput.write(ManualPage.of(command, program: invocation.program))
                return 0
            })
    }
}
