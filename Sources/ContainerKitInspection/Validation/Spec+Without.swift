// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

extension Spec {
    /// The config without what is at `field`, or without the nearest object or list around it; nil
    /// if there is no such config.
    ///
    /// Elements of `mounts` are replaced by a harmless mount, so that the others keep their places.
    func without(_ field: String) -> Spec? {
        if let index = Self.index(field, in: "mounts"), mounts?.indices.contains(index) == true {
            let harmless = Mount(
                destination: "/.swrunc-validate/\(index)", type: "tmpfs", source: "tmpfs")
            guard mounts?[index] != harmless else { return nil }
            var spec = self
            spec.mounts?[index] = harmless
            return spec
        }
        if field.hasPrefix("linux.uidMappings") || field.hasPrefix("linux.gidMappings") {
            return withoutUserNamespace
        }
        if let index = Self.index(field, in: "linux.namespaces"),
            linux?.namespaces?.indices.contains(index) == true
        {
            var spec = self
            spec.linux?.namespaces?.remove(at: index)
            return spec
        }
        let document = encoded
        var keys = Self.keys(field)
        while !keys.isEmpty {
            if let rest = document.removing(keys[...]), let spec = try? Spec(encoded: rest) {
                return spec
            }
            keys.removeLast()
        }
        return nil
    }

    /// The index in a field such as `mounts[7].options`.
    private static func index(_ field: String, in list: String) -> Int? {
        guard field.hasPrefix(list + "[") else { return nil }
        return Int(field.dropFirst(list.count + 1).prefix { $0 != "]" })
    }

    /// Maps and user namespace need each other, so they go together.
    private var withoutUserNamespace: Spec? {
        var spec = self
        spec.linux?.uidMappings = nil
        spec.linux?.gidMappings = nil
        spec.linux?.namespaces?.removeAll { $0.kind == .user }
        return spec == self ? nil : spec
    }

    /// The names on the way to a field, as far as the first list: a list is removed whole.
    private static func keys(_ field: String) -> [String] {
        var keys: [String] = []
        for part in field.split(separator: ".") {
            let name = part.prefix { $0 != "[" }
            keys.append(String(name))
            if name.endIndex != part.endIndex { break }
        }
        return keys
    }
}

extension JSONValue {
    /// This value without the member at the end of a way of names; nil if there is none.
    fileprivate func removing(_ keys: ArraySlice<String>) -> JSONValue? {
        guard case .object(let object) = self, let key = keys.first, let value = object[key] else {
            return nil
        }
        let below = keys.dropFirst()
        var rest = JSONObject()
        for member in object.members {
            guard member.key == key else {
                rest.append(member.key, member.value)
                continue
            }
            guard !below.isEmpty else { continue }
            guard let left = value.removing(below) else { return nil }
            rest.append(key, left)
        }
        return .object(rest)
    }
}
#endif
