// SPDX-License-Identifier: Apache-2.0

/// A shell for which a completion script can be made.
enum Shell: String, CaseIterable {
    case bash, zsh, fish
}

/// The completion script for a shell, made from the same tables as the help.
struct CompletionScript {
    /// The kind of an operand, for its completion.
    enum Operand: Equatable {
        /// Not completed, such as the ID of a new container.
        case unknown
        /// The ID of an existing container.
        case container
        /// One of these words.
        case words([String])
    }

    let program: String

    /// The script for a shell.
    func text(for shell: Shell) -> String {
        switch shell {
        case .bash: bash
        case .zsh: zsh
        case .fish: fish
        }
    }

    private var commands: [Command] { Command.Name.allCases.map(\.command) }
    private var commandNames: [String] { commands.map(\.name) + ["help"] }

    /// The kind of the first operand of a command.
    static func operand(of command: Command) -> Operand {
        switch command.name {
        case "create", "explain", "run": .unknown
        case "completion": .words(Shell.allCases.map(\.rawValue))
        case "manual": .words(Command.Name.allCases.map(\.rawValue))
        default:
            command.operands.split(separator: " ").contains {
                [Command.containerOperand, Command.containersOperand].contains(String($0))
            } ? .container : .unknown
        }
    }

    /// The spellings of the flags, in the order of their table.
    private static func spellings(_ flags: [Flag]) -> [String] {
        flags.flatMap { flag in ["--\(flag.name)"] + (flag.letter.map { ["-\($0)"] } ?? []) }
    }

    private static func takingValues(_ flags: [Flag]) -> [String] {
        spellings(
            flags.filter { flag in
                if case .toggle = flag.value { return false }
                return true
            })
    }

    /// A name for the shell function, without dashes and dots, which are not allowed there.
    private var function: String {
        "_" + String(program.map { $0.isLetter || $0.isNumber ? $0 : "_" })
    }
}

// MARK: - bash

extension CompletionScript {
    private var bash: String {
        """
        # bash completion of \(program); made by `\(program) completion bash`.
        \(function)() {
            local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
            local command= index=1 word flags values ids= operands=
            local -a root=()
            [[ $current == = ]] && current=
            [[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}
            while ((index < COMP_CWORD)); do
                word=${COMP_WORDS[index]}
                case $word in
                \(Self.takingValues(GlobalFlags.all).joined(separator: " | ")))
                    [[ ${COMP_WORDS[index + 1]} == = ]] && ((index += 1))
                    ((index += 1))
                    [[ $word == --root ]] && root=(--root "${COMP_WORDS[index]}")
                    ;;
                -*) ;;
                *)
                    command=$word
                    break
                    ;;
                esac
                ((index += 1))
            done
            case $command in
            '')
                flags='\(Self.spellings(GlobalFlags.all).joined(separator: " "))'
                values='\(Self.takingValues(GlobalFlags.all).joined(separator: " "))'
                operands='\(commandNames.joined(separator: " "))'
                ;;
        \(commands.map(bashCase).joined(separator: "\n"))
            help)
                operands='\(commands.map(\.name).joined(separator: " "))'
                ;;
            esac
            if [[ " $ids " == *" $previous "* ]]; then
                operands=$(\(program) "${root[@]}" list -q 2>/dev/null)
                mapfile -t COMPREPLY < <(compgen -W "$operands" -- "$current")
            elif [[ " $values " == *" $previous "* ]]; then
                compopt -o filenames
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
            elif [[ $current == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current")
            else
                mapfile -t COMPREPLY < <(compgen -W "$operands" -- "$current")
            fi
        }
        complete -F \(function) \(program)

        """
    }

    private func bashCase(_ command: Command) -> String {
        let flags = command.flags + [.help]
        var lines = [
            "    \(command.name))",
            "        flags='\(Self.spellings(flags).joined(separator: " "))'",
            "        values='\(Self.takingValues(flags).joined(separator: " "))'",
        ]
        let ids = Self.spellings(flags.filter { $0.value == .container })
        if !ids.isEmpty { lines.append("        ids='\(ids.joined(separator: " "))'") }
        switch Self.operand(of: command) {
        case .unknown: break
        case .container:
            lines.append("        operands=$(\(program) \"${root[@]}\" list -q 2>/dev/null)")
        case .words(let words):
            lines.append("        operands='\(words.joined(separator: " "))'")
        }
        return (lines + ["        ;;"]).joined(separator: "\n")
    }
}

// MARK: - zsh

extension CompletionScript {
    private var zsh: String {
        let names = commands.map { zshQuoted("\($0.name):\($0.summary)") }
        return """
            #compdef \(program)
            # zsh completion of \(program); made by `\(program) completion zsh`.
            \(function)_containers() {
                local -a ids
                ids=(${(f)"$(\(program) $root list -q 2>/dev/null)"})
                compadd -a ids
            }
            \(function)() {
                local context state state_descr line
                local -a commands root
                typeset -A opt_args
                commands=(
                    \(names.joined(separator: "\n        "))
                    'help:show the help of a command'
                )
                _arguments -C \\
                    \(zshArguments(GlobalFlags.all)) \\
                    '1:command:->command' '*::argument:->argument'
                case $state in
                command) _describe -t commands command commands ;;
                argument)
                    [[ -n ${opt_args[--root]} ]] && root=(--root ${(Q)opt_args[--root]})
                    case $words[1] in
            \(commands.map(zshCase).joined(separator: "\n"))
                    help) _arguments '1:command:(\(commands.map(\.name).joined(separator: " ")))' ;;
                    esac
                    ;;
                esac
            }
            \(function) "$@"

            """
    }

    private func zshCase(_ command: Command) -> String {
        let operand =
            switch Self.operand(of: command) {
            case .unknown: "'*:argument:_files'"
            case .container: "'1:container:\(function)_containers' '*:argument:_files'"
            case .words(let words): "'1:word:(\(words.joined(separator: " ")))'"
            }
        return """
                    \(command.name))
                        _arguments \\
                            \(zshArguments(command.flags + [.help])) \\
                            \(operand)
                        ;;
            """
    }

    /// The flags as specifications for `_arguments`.
    private func zshArguments(_ flags: [Flag]) -> String {
        flags.map { flag in
            var value = ":value:_files"
            if flag.value == .toggle { value = "" }
            if flag.value == .container { value = ":container:\(function)_containers" }
            let summary = zshQuoted("[\(flag.summary.zshEscaped)]\(value)")
            guard let letter = flag.letter else { return "'*--\(flag.name)'\(summary)" }
            return "'*'{-\(letter),--\(flag.name)}\(summary)"
        }.joined(separator: " \\\n                ")
    }

    private func zshQuoted(_ text: String) -> String {
        "'"
            + text.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: #"'\''"#) + "'"
    }
}

extension String {
    /// The text escaped for use between brackets.
    fileprivate var zshEscaped: String {
        reduce(into: "") { text, character in
            if "[]:\\".contains(character) { text += "\\" }
            text.append(character)
        }
    }
}

// MARK: - fish

extension CompletionScript {
    private var fish: String {
        var lines = [
            "# fish completion of \(program); made by `\(program) completion fish`.",
            "complete -c \(program) -f",
        ]
        lines += GlobalFlags.all.map { fishFlag($0, when: "__fish_use_subcommand") }
        for command in commands {
            lines.append(
                "complete -c \(program) -n __fish_use_subcommand -a \(command.name) "
                    + "-d \(fishQuoted(command.summary))")
            let condition = fishQuoted("__fish_seen_subcommand_from \(command.name)")
            lines += (command.flags + [.help]).map { fishFlag($0, when: condition) }
            switch Self.operand(of: command) {
            case .unknown: break
            case .container:
                lines.append(
                    "complete -c \(program) -n \(condition) -a '(\(program) list -q 2>/dev/null)'")
            case .words(let words):
                lines.append(
                    "complete -c \(program) -n \(condition) "
                        + "-a \(fishQuoted(words.joined(separator: " ")))")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func fishFlag(_ flag: Flag, when condition: String) -> String {
        var words = ["complete -c \(program) -n \(condition) -l \(flag.name)"]
        if let letter = flag.letter { words.append("-s \(letter)") }
        switch flag.value {
        case .toggle: break
        case .container: words.append("-x -a '(\(program) list -q 2>/dev/null)'")
        case .text, .bytes, .number: words.append("-r -F")
        }
        return (words + ["-d \(fishQuoted(flag.summary))"]).joined(separator: " ")
    }

    private func fishQuoted(_ text: String) -> String {
        "'"
            + text.reduce(into: "") { quoted, character in
                if character == "'" || character == "\\" { quoted += "\\" }
                quoted.append(character)
            } + "'"
    }
}
