// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

#if CLibraries
internal import CCap
#endif

/// Names, numbers and text of capabilities, as libcap knows them.
///
/// For what people read: a capability that the kernel or libcap has and `Capability` does not is
/// named all the same. What a config may name is in `Capability` alone. Without the package trait
/// CLibraries, all names are from there. Source: cap_to_name(3), cap_to_text(3).
package enum CapabilityNames {
    /// The names of the capabilities in a mask, in the order of their numbers; one without a name
    /// as its number.
    package static func names(in mask: UInt64) -> [String] {
        (0..<64).filter { mask & 1 << UInt64($0) != 0 }.map { name(of: $0) ?? "\($0)" }
    }

    #if CLibraries
    /// The name of a capability, such as `CAP_KILL`; nil if it has none.
    package static func name(of number: Int) -> String? {
        guard let number = cap_value_t(exactly: number), number >= 0,
            let name = cap_to_name(number)
        else { return nil }
        defer { cap_free(name) }
        let text = String(cString: name)
        // One that is not known is told by its number.
        return Int(text) == nil ? text.uppercased() : nil
    }

    /// The number of a capability such as `CAP_KILL`; nil if there is none of this name.
    package static func number(of name: String) -> UInt64? {
        var number = cap_value_t()
        // libcap would take any case, and a number for a name.
        guard name.hasPrefix("CAP_"), cap_from_name(name, &number) == 0,
            self.name(of: Int(number)) == name
        else { return nil }
        return UInt64(number)
    }

    /// The permitted, effective and inheritable sets of this process in libcap's notation, such as
    /// `=ep cap_sys_admin-ep`; nil if the kernel or libcap refuses to tell.
    package static var ownText: String? {
        guard let sets = cap_get_proc() else { return nil }
        defer { cap_free(UnsafeMutableRawPointer(sets)) }
        guard let text = cap_to_text(sets, nil) else { return nil }
        defer { cap_free(text) }
        return String(cString: text)
    }
    #else
    package static func name(of number: Int) -> String? {
        Capability.all.indices.contains(number) ? Capability.all[number].description : nil
    }

    package static func number(of name: String) -> UInt64? {
        Capability(name: name).map { UInt64($0.number) }
    }

    package static var ownText: String? { nil }
    #endif
}
#endif
