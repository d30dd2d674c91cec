// SPDX-License-Identifier: Apache-2.0

import SystemPackage
import Testing

@testable import ContainerKit

@Suite("rtnetlink")
struct NetlinkTests {
    @Test("a netlink message is a header, a structure, and attributes padded to four bytes")
    func layout() {
        var message = NetlinkMessage(16, 5)
        message.sequence = 7
        message.append(UInt32(0x0102_0304))
        message.append(3, Array("eth0".utf8) + [0])
        message.append(28, number: 9)
        #expect(
            message.bytes == [
                40, 0, 0, 0, 16, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0,
                4, 3, 2, 1,
                9, 0, 3, 0, 101, 116, 104, 48, 0, 0, 0, 0,
                8, 0, 28, 0, 9, 0, 0, 0,
            ])
        #expect(NetlinkMessage.messages(in: message.bytes[...]) == [message])
        #expect(message.attribute(3, after: 4) == Array("eth0".utf8) + [0])
        #expect(message.attribute(28, after: 4) == [9, 0, 0, 0])
        #expect(message.attribute(4, after: 4) == nil)
    }

    @Test("netlink lengths that do not fit are refused and never read beyond")
    func truncation() {
        var message = NetlinkMessage(16, 0)
        message.append(UInt32(0))
        message.append(3, [1, 2, 3, 4])
        let bytes = message.bytes
        for count in 1..<bytes.count {
            #expect(NetlinkMessage.messages(in: bytes.prefix(count)) == nil)
        }
        for length: UInt8 in [0, 1, 15, 255] {
            #expect(NetlinkMessage.messages(in: ([length] + bytes.dropFirst())[...]) == nil)
        }
        // An attribute whose length exceeds the message, or is less than its own header.
        for length: UInt8 in [0, 3, 9, 255] {
            var broken = message
            broken.payload[4] = length
            #expect(broken.attribute(3, after: 4) == nil)
        }
        #expect(message.attribute(3, after: 400) == nil)
    }

    @Test("a network address is read as the kernel reports it")
    func address() {
        var answer = NetlinkMessage(20, 0)
        for byte: UInt8 in [2, 24, 0x80, 0] { answer.append(byte) }
        answer.append(Int32(4))
        answer.append(1, [10, 0, 0, 2])
        answer.append(2, [10, 0, 0, 1])
        answer.append(4, [10, 0, 0, 255])
        let found = NetworkAddress(answer, of: 4)
        #expect(found?.description == "10.0.0.1/24")
        #expect(found?.peer == [10, 0, 0, 2] && found?.broadcast == [10, 0, 0, 255])
        #expect(found?.isPermanent == true && found?.scope == 0)
        #expect(NetworkAddress(answer, of: 5) == nil, "another device's")
        // IFA_FLAGS takes precedence over the eight bits in the structure.
        answer.append(8, number: 0)
        #expect(NetworkAddress(answer, of: 4)?.isPermanent == false)
        answer.payload[0] = 10
        #expect(NetworkAddress(answer, of: 4) == nil, "four bytes are no IPv6 address")
    }

    @Test("the loopback interface is found with its index and its address")
    func loopback() throws {
        var socket = try NetlinkSocket()
        let link = try socket.link(named: "lo")
        #expect(link.index == 1)
        let addresses = try socket.addresses(of: link.index).map(\.description)
        if link.isUp { #expect(addresses.contains("127.0.0.1/8")) }
    }

    @Test("a missing network device is reported with the kernel's errno")
    func missing() throws {
        var socket = try NetlinkSocket()
        do throws(SystemCallError) {
            _ = try socket.link(named: "no-such-device0")
            Issue.record("found")
        } catch {
            #expect(error.errno == .operationNotSupportedByDevice)
            #expect(error.description.hasPrefix("RTM_GETLINK(\"no-such-device0\""))
        }
    }
}
