// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit

extension ExitStatus: Codable {
    private enum Name: String, CodingKey { case exited, signaled, unknown }

    /// Decodes `exited` or `signaled` with its number; anything else becomes `unknown`.
    public init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: Name.self)
        if let status = try members.decodeIfPresent(Int32.self, forKey: .exited) {
            self = .exited(status)
        } else if let number = try members.decodeIfPresent(Int32.self, forKey: .signaled) {
            self = .signaled(number)
        } else {
            self = .unknown
        }
    }

    /// Encodes the status as an object with one member.
    public func encode(to encoder: any Encoder) throws {
        var members = encoder.container(keyedBy: Name.self)
        switch self {
        case .exited(let status): try members.encode(status, forKey: .exited)
        case .signaled(let number): try members.encode(number, forKey: .signaled)
        case .unknown: try members.encode(true, forKey: .unknown)
        }
    }
}

extension ResourceUsage: Codable {
    private enum Name: String, CodingKey {
        case userMicroseconds, systemMicroseconds, peakMemoryBytes
    }

    /// Decodes the usage, with its times in microseconds.
    public init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: Name.self)
        self.init(
            userTime: .microseconds(try members.decode(Int64.self, forKey: .userMicroseconds)),
            systemTime: .microseconds(try members.decode(Int64.self, forKey: .systemMicroseconds)),
            peakMemoryBytes: try members.decode(UInt64.self, forKey: .peakMemoryBytes))
    }

    /// Encodes the usage, with its times in microseconds.
    public func encode(to encoder: any Encoder) throws {
        var members = encoder.container(keyedBy: Name.self)
        try members.encode(userTime.wholeMicroseconds, forKey: .userMicroseconds)
        try members.encode(systemTime.wholeMicroseconds, forKey: .systemMicroseconds)
        try members.encode(peakMemoryBytes, forKey: .peakMemoryBytes)
    }
}

extension Duration {
    fileprivate var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds &* 1_000_000 &+ attoseconds / 1_000_000_000_000
    }
}

extension Termination: Codable {
    private enum Name: String, CodingKey { case status, outOfMemoryKills, usage }

    /// Decodes the termination.
    public init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: Name.self)
        self.init(
            status: try members.decode(ExitStatus.self, forKey: .status),
            outOfMemoryKills: try members.decodeIfPresent(UInt64.self, forKey: .outOfMemoryKills),
            usage: try members.decodeIfPresent(ResourceUsage.self, forKey: .usage))
    }

    /// Encodes the termination; unknown values are left out.
    public func encode(to encoder: any Encoder) throws {
        var members = encoder.container(keyedBy: Name.self)
        try members.encode(status, forKey: .status)
        try members.encodeIfPresent(outOfMemoryKills, forKey: .outOfMemoryKills)
        try members.encodeIfPresent(usage, forKey: .usage)
    }
}
#endif
