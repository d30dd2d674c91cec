// SPDX-License-Identifier: Apache-2.0

internal import ContainerKitAsync
internal import SystemPackage

/// A mistake on the command line.
struct UsageError: Error {
    var text: String
}

/// The command line.
struct Options {
    static let usage = """
        usage: code-runner --rootfs DIRECTORY [FLAG VALUE]...
          --rootfs DIRECTORY       the root file system of the programs, which they cannot write to
          --host NAME, --port N    where to listen: 127.0.0.1, 8080; port 0 takes any free one
          --state DIRECTORY        where the containers are recorded: /run/code-runner
          --sandboxes N            how many programs run at the same time: 16
          --waiting N              how many more may wait for their turn: 64; the rest get 503
          --seconds N, --memory MIB, --processes N, --cpus N
                                   what a program may use at most: 10, 64, 32, 1
          --print-config PROGRAM   prints the config.json that PROGRAM would run with, and ends
        """

    var rootfs: FilePath = ""
    var host = "127.0.0.1"
    var port = 8080
    var state: FilePath = "/run/code-runner"
    var sandboxes = 16
    var waiting = 64
    var limits = Limits(seconds: 10, memory: 64 << 20, processes: 32, cpus: 1)
    var printedProgram: String?

    init(_ words: [String]) throws(UsageError) {
        var rest = words[...]
        while let flag = rest.popFirst() {
            guard let value = rest.popFirst() else {
                throw UsageError(text: "\(flag): a value is missing, or it is no flag")
            }
            try set(flag, value)
        }
        if rootfs.isEmpty { throw UsageError(text: "--rootfs is missing") }
    }

    private mutating func set(_ flag: String, _ value: String) throws(UsageError) {
        switch flag {
        case "--rootfs": rootfs = FilePath(value)
        case "--host": host = value
        case "--port": port = try number(flag, value, 0...65535)
        case "--state": state = FilePath(value)
        case "--sandboxes": sandboxes = try number(flag, value, 1...10_000)
        case "--waiting": waiting = try number(flag, value, 0...1_000_000)
        case "--seconds": limits.seconds = try number(flag, value, Limits.seconds)
        case "--memory": limits.memory = Int64(try number(flag, value, 1...1 << 30)) << 20
        case "--processes": limits.processes = try number(flag, value, Limits.processes)
        case "--cpus": limits.cpus = try number(flag, value, Limits.cpus)
        case "--print-config": printedProgram = value
        default: throw UsageError(text: "\(flag): no such flag")
        }
    }

    private func number<Number: LosslessStringConvertible>(
        _ flag: String, _ value: String, _ range: ClosedRange<Number>
    ) throws(UsageError) -> Number {
        guard let number = Number(value), range.contains(number) else {
            throw UsageError(
                text: "\(flag): \(value) is not in \(range.lowerBound)...\(range.upperBound)")
        }
        return number
    }
}
