// SPDX-License-Identifier: Apache-2.0

// Systemd: requests to systemd over its bus.
//
//   SystemdClient       the calls (start, set, stop and others), each with a deadline
//   SystemdHost         facts about the host's systemd that plans depend on (pure)
//   UnitProperty        a property of a unit, for a call and as text for explain (pure)
//   PropertyAnnotation  org.systemd.property.* as properties (pure)
//   VariantText         parses their values: GVariant's text format (pure)
//   DBusAddress         the addresses of the bus
//   DBusConnection      a connection without threads
//   DBusMessage, DBusReader, DBusValue  the wire format
//
// The unit and properties of a container are in Cgroups/: SystemdScope and UnitProperties.

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// The calls to systemd that containers need.
///
/// Each call returns or fails within its deadline. If the connection is lost, as when systemd
/// restarts itself, it is made again once.
final class SystemdClient {
    /// The systemd that is called.
    let instance: SystemdInstance
    /// The caller's limit for all calls together; nil for what undoes others.
    var limit: TimeLimit?
    private var connection: DBusConnection
    /// The bus name of systemd; nil if connected to systemd itself.
    private var destination: String?

    /// The time limit of a call; runc's is the same.
    private static let timeoutSeconds = 30

    private static let managerInterface = "org.freedesktop.systemd1.Manager"
    private static let managerPath = "/org/freedesktop/systemd1"

    // MARK: - Connecting

    /// Whether the machine was booted with systemd.
    ///
    /// Source: sd_booted(3).
    static var isRunning: Bool {
        (try? status(at: "/run/systemd/system"))?.kind == .directory
    }

    /// The systemd that manages cgroups for the user of this process.
    static var ownInstance: SystemdInstance {
        // Root of a user namespace is an ordinary user of the machine.
        effectiveUserID == 0 && !isInsideUserNamespace ? .system : .user
    }

    /// Connects to systemd, or to the bus if its own socket cannot be used.
    init(_ instance: SystemdInstance, within limit: TimeLimit? = nil) throws(SystemdError) {
        self.instance = instance
        self.limit = limit
        (connection, destination) = try Self.connect(instance, before: Self.deadline(limit))
    }

    private static func deadline(_ limit: TimeLimit?) -> Deadline {
        Deadline(secondsAhead: timeoutSeconds).limited(by: limit?.deadline)
    }

    /// When a call that begins now fails.
    private var deadline: Deadline { Self.deadline(limit) }

    /// A socket to try, and whether a bus or systemd itself listens there.
    private struct Endpoint {
        var socket: UnixSocketName
        var isBus: Bool
    }

    private static func endpoints(_ instance: SystemdInstance) -> [Endpoint] {
        // The environment variables with which this process was started.
        let environment = ((try? readFile("/proc/self/environ")) ?? []).split(separator: 0)
            .map { String(decoding: $0, as: UTF8.self) }
        func variable(_ name: String) -> String? {
            let prefix = "\(name)="
            let pair = environment.first { $0.begins(with: prefix) }
            return pair.map { String($0.dropFirst(prefix.count)) }.flatMap { $0.isEmpty ? nil : $0 }
        }
        func buses(_ name: String) -> [Endpoint] {
            DBusAddress.sockets(in: variable(name) ?? "").map { Endpoint(socket: $0, isBus: true) }
        }
        switch instance {
        case .system:
            return buses("DBUS_SYSTEM_BUS_ADDRESS")
                + [Endpoint(socket: .path("/run/dbus/system_bus_socket"), isBus: true)]
        case .user:
            let buses = buses("DBUS_SESSION_BUS_ADDRESS")
            guard let directory = variable("XDG_RUNTIME_DIR") else { return buses }
            return [Endpoint(socket: .path("\(directory)/systemd/private"), isBus: false)] + buses
                + [Endpoint(socket: .path("\(directory)/bus"), isBus: true)]
        }
    }

    private static func connect(_ instance: SystemdInstance, before deadline: Deadline)
        throws(SystemdError) -> (DBusConnection, destination: String?)
    {
        var first: SystemdError?
        if instance == .system {
            // Try systemd's own socket first: it avoids the bus daemon, which may be busy.
            let own = Endpoint(socket: .path("/run/systemd/private"), isBus: false)
            do throws(SystemdError) {
                return try connect(own, before: deadline)
            } catch {
                first = error
            }
        }
        for endpoint in endpoints(instance) {
            do throws(SystemdError) {
                return try connect(endpoint, before: deadline)
            } catch {
                first = first ?? error
            }
        }
        throw first
            ?? SystemdError(
                "unable to find the systemd of the user: "
                    + "neither XDG_RUNTIME_DIR nor DBUS_SESSION_BUS_ADDRESS is set")
    }

    private static func connect(_ endpoint: Endpoint, before deadline: Deadline)
        throws(SystemdError) -> (DBusConnection, destination: String?)
    {
        let socket: StreamSocket
        do throws(SystemCallError) {
            socket = try StreamSocket(connectingTo: endpoint.socket, before: deadline)
        } catch {
            throw SystemdError("unable to connect to systemd", failure: error)
        }
        let connection = try DBusConnection(socket, before: deadline)
        guard endpoint.isBus else { return (connection, nil) }
        let bus = "org.freedesktop.DBus"
        let rule =
            "type='signal',interface='\(managerInterface)',member='JobRemoved',path='\(managerPath)'"
        for (member, arguments) in [("Hello", []), ("AddMatch", [DBusValue.string(rule)])] {
            _ = try connection.call(
                DBusMessage(
                    calling: member, of: bus, at: "/org/freedesktop/DBus", destination: bus,
                    arguments), before: deadline)
        }
        let systemd = "org.freedesktop.systemd1"
        _ = try connection.call(
            DBusMessage(
                calling: "Subscribe", of: managerInterface, at: managerPath, destination: systemd),
            before: deadline)
        return (connection, systemd)
    }

    /// Runs `body`, and once more on a new connection if the present one is lost.
    private func reconnecting<Result>(_ body: () throws(SystemdError) -> Result)
        throws(SystemdError) -> Result
    {
        do throws(SystemdError) {
            return try body()
        } catch  where error.isDisconnect {
            // systemd is unavailable for a moment while it restarts itself.
            for attempt in 0..<50 {
                do throws(SystemdError) {
                    (connection, destination) = try Self.connect(instance, before: deadline)
                    break
                } catch  where attempt < 49 && limit?.isOver != true {
                    wait(milliseconds: 100)
                }
            }
            return try body()
        }
    }

    // MARK: - Calls

    private func call(_ member: String, _ arguments: [DBusValue], before deadline: Deadline)
        throws(SystemdError) -> [DBusValue]
    {
        try connection.call(
            DBusMessage(
                calling: member, of: Self.managerInterface, at: Self.managerPath,
                destination: destination, arguments), before: deadline)
    }

    private func property(_ name: String) throws(SystemdError) -> String {
        let deadline = deadline
        let values = try reconnecting { () throws(SystemdError) in
            try connection.call(
                DBusMessage(
                    calling: "Get", of: "org.freedesktop.DBus.Properties", at: Self.managerPath,
                    destination: destination,
                    [.string(Self.managerInterface), .string(name)]), before: deadline)
        }
        guard case .variant(let value)? = values.first, let text = value.text else {
            throw SystemdError("systemd has no property \(name)")
        }
        return text
    }

    /// Facts about this systemd for plans.
    func host() throws(SystemdError) -> SystemdHost {
        let group = try property("ControlGroup")
        return SystemdHost(
            instance: instance, version: Self.versionNumber(try property("Version")),
            controlGroup: group == "/" ? "" : group)
    }

    /// The number in a version such as `v252.4-1.fc37` or `252 (252.39-1~deb12u1)`; 0 if there is
    /// none.
    static func versionNumber(_ text: String) -> Int {
        let digits = text.utf8.drop { $0 == UInt8(ascii: "v") }
            .prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return Int(String(decoding: digits, as: UTF8.self)) ?? 0
    }

    /// Starts the scope `unit` with the process `pid` in it, and returns when the scope exists.
    ///
    /// A failed unit of the same name is cleared first.
    func start(_ unit: String, _ properties: [UnitProperty], process pid: Int32)
        throws(SystemdError)
    {
        let processes = UnitProperty("PIDs", .array(of: "u", [.uint32(UInt32(pid))]))
        let arguments: [DBusValue] = [
            .string(unit), .string("replace"), UnitProperty.arguments(properties + [processes]),
            .array(of: "(sa(sv))", []),
        ]
        let deadline = deadline
        var mayReset = true
        while true {
            do throws(SystemdError) {
                try reconnecting { () throws(SystemdError) in
                    // The call may have succeeded before a connection was lost.
                    if Self.isMember(pid, unit) { return }
                    try runJob("StartTransientUnit", arguments, before: deadline)
                }
                return
            } catch  where error.name == Self.unitExists && mayReset {
                mayReset = false
                resetFailed(unit)
            } catch {
                if error.name == nil { resetFailed(unit) }
                throw error
            }
        }
    }

    /// Whether a process is in the unit's cgroup.
    private static func isMember(_ pid: Int32, _ unit: String) -> Bool {
        guard let text = try? readFile("/proc/\(pid)/cgroup") else { return false }
        return text.split(separator: UInt8(ascii: "\n")).contains {
            String(decoding: $0, as: UTF8.self).ends(with: "/\(unit)")
        }
    }

    /// Stops a unit and returns when it is gone; a missing unit is no error.
    func stop(_ unit: String) throws(SystemdError) {
        let deadline = deadline
        do throws(SystemdError) {
            try reconnecting { () throws(SystemdError) in
                try runJob("StopUnit", [.string(unit), .string("replace")], before: deadline)
            }
        } catch  where error.name == Self.noSuchUnit {
            return
        }
        resetFailed(unit)
    }

    /// Moves a process into the cgroup of a unit, or into one below it.
    func attach(_ pid: Int32, to unit: String, below path: String) throws(SystemdError) {
        let deadline = deadline
        _ = try reconnecting { () throws(SystemdError) in
            try call(
                "AttachProcessesToUnit",
                [.string(unit), .string(path), .array(of: "u", [.uint32(UInt32(pid))])],
                before: deadline)
        }
    }

    /// Changes properties of a unit for its lifetime: all of them, or none.
    func set(_ properties: [UnitProperty], of unit: String) throws(SystemdError) {
        let deadline = deadline
        _ = try reconnecting { () throws(SystemdError) in
            try call(
                "SetUnitProperties",
                [.string(unit), .boolean(true), UnitProperty.arguments(properties)],
                before: deadline)
        }
    }

    /// Clears a failed unit, which would otherwise persist; does nothing for any other.
    private func resetFailed(_ unit: String) {
        _ = try? call(
            "ResetFailedUnit", [.string(unit)],
            before: deadline)
    }

    /// Calls a method that queues a job, and waits until the job has ended.
    private func runJob(_ member: String, _ arguments: [DBusValue], before deadline: Deadline)
        throws(SystemdError)
    {
        guard let job = try call(member, arguments, before: deadline).first?.text else {
            throw SystemdError("\(member) gave no job")
        }
        // JobRemoved(u id, o job, s unit, s result)
        let values = try connection.signal(
            "JobRemoved", of: Self.managerInterface, before: deadline
        ) { $0.count > 3 && $0[1].text == job }
        let result = values[3].text ?? ""
        guard result == "done" || member == "StopUnit" else {
            throw SystemdError("the job of systemd ended with \"\(result)\"")
        }
    }

    private static let unitExists = "org.freedesktop.systemd1.UnitExists"
    private static let noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"
}
#endif
