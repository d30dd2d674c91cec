// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

@testable import swrunc

// Command-line arguments in the form in which tests write them.

extension Arguments {
    init(
        parsing words: some Collection<String>, flags: [Flag], stoppingAtOperand: Bool
    ) throws(UsageError) {
        try self.init(
            parsing: words.map { ByteText($0) }, flags: flags, stoppingAtOperand: stoppingAtOperand)
    }
}

extension Command {
    func parse(_ words: some Collection<String>) throws(UsageError) -> Arguments {
        try parse(words.map { ByteText($0) })
    }
}

extension Session {
    static func run(_ words: [String]) -> Int32 { run(words.map { ByteText($0) }) }
}
