// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import SystemPackage

extension IDMaps {
    /// The IDs outside the namespace of a user and group inside it.
    func outside(_ user: NamespaceUser) throws(SystemCallError) -> NamespaceUser {
        guard let userID = users.outside(user.userID), let groupID = groups.outside(user.groupID)
        else {
            throw SystemCallError(
                "setfsuid", "user \(user.userID) and group \(user.groupID) of the namespace",
                errno: .invalidArgument)
        }
        return NamespaceUser(userID: userID, groupID: groupID)
    }
}

/// Makes files of this thread belong to another user, without losing rights over files.
///
/// A file system of a user namespace, or one with ID mappings, refuses files of a user that it does
/// not know. Only this thread is affected, and only during `body`. Kernel: setfsuid(2),
/// capabilities(7).
func actingAs(
    _ user: NamespaceUser, _ body: () throws(SystemCallError) -> Void
) throws(SystemCallError) {
    let formerGroup = try change("setfsgid", __NR_setfsgid, to: user.groupID)
    defer { restore(__NR_setfsgid, formerGroup) }
    let capabilities = ThreadCapabilities()
    let formerUser = try change("setfsuid", __NR_setfsuid, to: user.userID)
    defer {
        restore(__NR_setfsuid, formerUser)
        capabilities.restore()
    }
    // The kernel removes capabilities over files from a thread that stops being root.
    capabilities.restore()
    try body()
}

/// Changes the ID and returns the former one; the call itself does not report errors.
private func change(_ name: StaticString, _ number: Int32, to id: UInt32) throws(SystemCallError)
    -> Int
{
    let former = try systemCall(name, number, Int(id), describing: "\(id)")
    // An invalid ID changes nothing, and returns the present one.
    guard try systemCall(name, number, -1, describing: "-1") == Int(id) else {
        throw SystemCallError("\(name)", "\(id)", errno: .notPermitted)
    }
    return former
}

private func restore(_ number: Int32, _ id: Int) {
    _ = raw_system_call(Int(number), id, 0, 0, 0, 0, 0)
}
#endif
