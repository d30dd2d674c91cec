// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit
internal import RuntimeSpec
public import SystemPackage

/// The resource usage of the containers of a store at one moment, for Prometheus and others that
/// read OpenMetrics.
///
/// Each container is read once. The names of families are cAdvisor's where it has them, with the
/// units that OpenMetrics asks for.
public struct ContainerMetrics: Sendable {
    /// One container, and its labels in the text.
    struct Entry: Sendable {
        var sample: ContainerStore.Sample
        /// The label with its ID.
        var labels: [UInt8]
    }

    let entries: [Entry]
    /// The annotations that become labels, with the names of these.
    let annotations: [(key: String, label: String)]
    /// How many containers could not be read.
    public let failureCount: Int

    /// Reads containers.
    ///
    /// A container that is deleted meanwhile is left out.
    /// - Parameters:
    ///   - store: the store.
    ///   - ids: the containers; nil for all.
    ///   - annotations: keys of annotations that become labels of `container_info`.
    ///   - skip: is called with each container that cannot be read, and the reason.
    /// - Throws: `notFound` if the store or one of `ids` does not exist, `invalidArgument` if two
    ///   annotations give the same label.
    public init(
        of store: ContainerStore, ids: [String]? = nil, annotations: [String] = [],
        skipping skip: (_ id: String, _ reason: ContainerError) -> Void = { _, _ in }
    ) throws(ContainerError) {
        self.annotations = try Self.labels(for: annotations)
        var entries: [Entry] = []
        var failureCount = 0
        let names: [String]
        if let ids { names = ids } else { names = try store.names() }
        for id in names {
            do throws(ContainerError) {
                entries.append(Self.entry(try store.sample(id)))
            } catch {
                if error.code == .notFound || error.code == .invalidID {
                    guard ids == nil else {
                        throw ContainerError(error.code, "\(id): \(error.message)")
                    }
                    continue
                }
                failureCount += 1
                skip(id, error)
            }
        }
        self.entries = entries
        self.failureCount = failureCount
    }

    /// Metrics of samples that were read before.
    init(
        samples: [ContainerStore.Sample], annotations: [String] = [], failureCount: Int = 0
    ) throws(ContainerError) {
        self.annotations = try Self.labels(for: annotations)
        entries = samples.map(Self.entry)
        self.failureCount = failureCount
    }

    private static func entry(_ sample: ContainerStore.Sample) -> Entry {
        Entry(sample: sample, labels: OpenMetricsText.label("id", sample.state.id))
    }

    private static func labels(for keys: [String]) throws(ContainerError)
        -> [(key: String, label: String)]
    {
        var labels: [(key: String, label: String)] = []
        for key in keys where !labels.contains(where: { $0.key == key }) {
            let label = OpenMetricsText.labelName(forAnnotation: key)
            if let other = labels.first(where: { $0.label == label }) {
                throw ContainerError(
                    .invalidArgument,
                    "the annotations \(other.key) and \(key) give the same label, \(label)",
                    hint: "choose one of them")
            }
            labels.append((key, label))
        }
        return labels
    }

    /// The text, which ends with `# EOF`.
    public var openMetrics: [UInt8] {
        var text = OpenMetricsText()
        addStates(to: &text)
        addProcessors(to: &text)
        addMemory(to: &text)
        addBlockIO(to: &text)
        addFurther(to: &text)
        addPressure(to: &text)
        text.begin(
            .init(
                "container_scrape_error", .gauge,
                "1 if a container could not be read, and is left out here; otherwise 0."))
        text.add([], failureCount == 0 ? "0" : "1")
        text.end()
        return text.bytes
    }

    /// Writes the text to a file at once: whoever reads the file sees the former text or the whole
    /// new one.
    ///
    /// The text is written to a file beside it, which then gets the name.
    public func write(to path: FilePath) throws(ContainerError) {
        do throws(SystemCallError) {
            try replaceFile(path.string, with: openMetrics)
        } catch {
            throw ContainerError(
                .systemCall, "unable to write the metrics", failure: error,
                hint: error.errno == .invalidArgument
                    ? "a file is replaced; print to devices and pipes without --output" : nil)
        }
    }
}

// MARK: - Families

extension ContainerMetrics {
    typealias Family = OpenMetricsText.Family
    typealias Label = (name: String, value: String)

    /// Adds a family with at most one sample per container; none if no container has one.
    func add(
        _ family: Family, to text: inout OpenMetricsText, _ value: (Statistics) -> String?
    ) {
        var hasBegun = false
        for entry in entries {
            guard let statistics = entry.sample.statistics, let value = value(statistics) else {
                continue
            }
            if !hasBegun { text.begin(family) }
            hasBegun = true
            text.add(entry.labels, value)
        }
    }

    /// Adds a family with several samples per container, which differ in labels.
    func addEach(
        _ family: Family, to text: inout OpenMetricsText,
        _ values: (Statistics) -> [(labels: [Label], value: String)]
    ) {
        var hasBegun = false
        for entry in entries {
            guard let statistics = entry.sample.statistics else { continue }
            for (labels, value) in values(statistics) {
                if !hasBegun { text.begin(family) }
                hasBegun = true
                text.add(Self.joined(entry.labels, labels), value)
            }
        }
    }

    static func joined(_ first: [UInt8], _ labels: [Label]) -> [UInt8] {
        labels.reduce(into: first) { all, label in
            all.append(UInt8(ascii: ","))
            all += OpenMetricsText.label(label.name, label.value)
        }
    }

    private func addStates(to text: inout OpenMetricsText) {
        text.begin(.init("container", .info, "A container, its bundle, and chosen annotations."))
        for entry in entries {
            var labels: [Label] = [("bundle", entry.sample.state.bundle)]
            for (key, label) in annotations {
                guard let value = entry.sample.state.annotations?[key] else { continue }
                labels.append((label, value))
            }
            text.add(Self.joined(entry.labels, labels), "1")
        }
        let name = "container_state"
        text.begin(.init(name, .stateset, "The status of the container; one of them is 1."))
        for entry in entries {
            for status in State.Status.allCases {
                text.add(
                    Self.joined(entry.labels, [(name, status.rawValue)]),
                    entry.sample.state.status == status ? "1" : "0")
            }
        }
        text.begin(
            .init(
                "container_start_time_seconds", .gauge, unit: "seconds",
                "When the container was created, in seconds since 1970."))
        for entry in entries {
            guard let created = entry.sample.state.created, let time = Timestamp(created) else {
                continue
            }
            text.add(entry.labels, OpenMetricsText.seconds(of: time))
        }
    }
}
#endif
