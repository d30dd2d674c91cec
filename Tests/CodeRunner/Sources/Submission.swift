// SPDX-License-Identifier: Apache-2.0

/// What a client posts, as a JSON object.
struct Submission: Sendable {
    /// The most that the kernel takes as one argument is twice as much.
    static let programLimit = 64 << 10

    /// The text of the program.
    var program: String
    /// A program of the root file system with the arguments before the text.
    var interpreter = ["sh", "-c"]
    /// The standard input.
    var input = ""
    var limits = AskedLimits()
}

extension Submission: Decodable {
    private enum Name: String, CodingKey, CaseIterable { case program, interpreter, input, limits }

    init(from decoder: any Decoder) throws {
        try decoder.refuseMembers(except: Name.self)
        let members = try decoder.container(keyedBy: Name.self)
        program = try members.decode(String.self, forKey: .program)
        if let words = try members.decodeIfPresent([String].self, forKey: .interpreter) {
            interpreter = words
        }
        input = try members.decodeIfPresent(String.self, forKey: .input) ?? input
        limits = try members.decodeIfPresent(AskedLimits.self, forKey: .limits) ?? limits
        guard program.utf8.count <= Self.programLimit else {
            throw DecodingError.dataCorruptedError(
                forKey: .program, in: members,
                debugDescription: "the program has more than \(Self.programLimit) bytes")
        }
        guard !interpreter.isEmpty else {
            throw DecodingError.dataCorruptedError(
                forKey: .interpreter, in: members, debugDescription: "the interpreter has no word")
        }
        guard !(interpreter + [program]).contains(where: { $0.utf8.contains(0) }) else {
            throw DecodingError.dataCorruptedError(
                forKey: .program, in: members,
                debugDescription: "a program and its interpreter have no NUL character")
        }
    }
}

extension AskedLimits: Decodable {
    private enum Name: String, CodingKey, CaseIterable { case seconds, memory, processes, cpus }

    init(from decoder: any Decoder) throws {
        try decoder.refuseMembers(except: Name.self)
        let members = try decoder.container(keyedBy: Name.self)
        seconds = try members.decodeIfPresent(Double.self, forKey: .seconds)
        memory = try members.decodeIfPresent(Int64.self, forKey: .memory)
        processes = try members.decodeIfPresent(Int64.self, forKey: .processes)
        cpus = try members.decodeIfPresent(Double.self, forKey: .cpus)
    }
}

/// Any name of a member.
private struct AnyName: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension Decoder {
    /// Refuses unknown members: a misspelt limit must not become no limit.
    fileprivate func refuseMembers<Name: CodingKey & CaseIterable & RawRepresentable<String>>(
        except known: Name.Type
    ) throws {
        let names = try container(keyedBy: AnyName.self).allKeys.map(\.stringValue)
        if let wrong = names.sorted().first(where: { Name(rawValue: $0) == nil }) {
            let known = Name.allCases.map(\.rawValue).joined(separator: ", ")
            throw DecodingError.dataCorrupted(
                DecodingError.Context(
                    codingPath: codingPath,
                    debugDescription: "\(wrong) is not one of the members \(known)"))
        }
    }
}
