// SPDX-License-Identifier: Apache-2.0

/// The members of a JSON object in their written order.
///
/// A lookup is a linear search, since objects of config.json have few members. Objects that are
/// used as maps are iterated instead.
public struct JSONObject: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    /// One name and its value.
    public struct Member: Hashable, Sendable {
        /// The name, unescaped.
        public let key: String
        /// The value.
        public let value: JSONValue

        /// Whether this is its name.
        ///
        /// Lengths come first: most names differ in them, and texts are compared more slowly.
        package func isNamed(_ name: String) -> Bool {
            key.utf8.count == name.utf8.count && key == name
        }
    }

    /// All members in order; no name occurs twice if the object was read from text.
    public private(set) var members: [Member]

    /// An object without members.
    public init() {
        members = []
    }

    /// An object with the given members in the given order.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        members = elements.map { Member(key: $0.0, value: $0.1) }
    }

    /// An object of the given members; names may repeat.
    init(members: [Member]) {
        self.members = members
    }

    /// An object of members read from text; of a repeated name the last value is kept.
    init(reading read: [Member]) {
        members = Self.repeatsName(read) ? Self.keepingLast(read) : read
    }

    /// The value of `key`, or nil if there is no such member; `null` is returned as `.null`.
    public subscript(key: String) -> JSONValue? {
        lastIndex(of: key).map { members[$0].value }
    }

    /// The place of the last member with this name.
    package func lastIndex(of key: String) -> Int? {
        members.lastIndex { $0.isNamed(key) }
    }

    /// Adds a member at the end; the caller makes sure that the name is new.
    public mutating func append(_ key: String, _ value: JSONValue) {
        members.append(Member(key: key, value: value))
    }

    private static func repeatsName(_ members: [Member]) -> Bool {
        // Comparing all pairs beats hashing while there are few of them.
        guard members.count <= 16 else {
            return Set(members.map(\.key)).count != members.count
        }
        for last in members.indices {
            for first in 0..<last where members[first].isNamed(members[last].key) {
                return true
            }
        }
        return false
    }

    private static func keepingLast(_ members: [Member]) -> [Member] {
        var seen: Set<String> = []
        var kept: [Member] = []
        for member in members.reversed() where seen.insert(member.key).inserted {
            kept.append(member)
        }
        return kept.reversed()
    }
}
