// SPDX-License-Identifier: Apache-2.0

// Model: values of the public API that do not come from the config.
//
//   ContainerError       an error: a code for programs, text and hint for people
//   LaunchOptions        the caller's options for create, run and exec
//   LaunchTrace          where the time of a launch goes
//   TraceContext         the identity of a span, in the form that programs pass on
//   AddedDevice          a device that a container gets while it runs
//   AdoptedCgroup        a cgroup of the caller's for a new container
//   CheckpointOptions    the options of a checkpoint or a restore
//   ConfigAnnotation     the annotations that change the runtime's behaviour
//   ReadinessSocket      the socket by which a container's process reports readiness
//   RuntimeVersion       the versions that `--version` prints
//   Statistics           the resource usage of a container
//   Statistics+IntelRdt  the values of resctrl
//   Statistics+JSON      the statistics with runc's keys
//   Statistics+Reading   the statistics read from that JSON
//   CgroupUsage          the few values of them that people watch
//   Signal               a signal for a process
//   Timestamp            a point in time, printed as RFC 3339

#if os(Linux)
/// The resource usage of a container, read from its cgroup at one moment.
///
/// A value that the kernel does not report is zero. The groups and names are runc's.
public struct Statistics: Equatable, Sendable {
    /// CPU time.
    public var cpu = CPU()
    /// The permitted CPUs and memory nodes; cgroup v1 has more values than v2.
    public var cpuSet = CPUSet()
    /// Memory.
    public var memory = Memory()
    /// Processes and threads.
    public var pids = Pids()
    /// Block I/O.
    public var blockIO = BlockIO()
    /// Huge pages by size, such as `2MB`, in the order of the sizes' names.
    public var hugePages: [HugePages] = []
    /// The use of each RDMA device, in the kernel's order.
    public var rdma: [Rdma] = []
    /// The class in resctrl; nil if the container has none.
    public var intelRdt: IntelRdt?

    /// Statistics of a container that uses nothing.
    public init() {}

    /// CPU time, in nanoseconds.
    public struct CPU: Equatable, Sendable {
        /// The total time.
        public var total: UInt64 = 0
        /// Time in kernel mode.
        public var kernel: UInt64 = 0
        /// Time in user mode.
        public var user: UInt64 = 0
        /// Total time on each CPU; cgroup v1 only, as the next two.
        public var perCPU: [UInt64] = []
        /// Time in the kernel on each CPU.
        public var perCPUKernel: [UInt64] = []
        /// Time in user mode on each CPU.
        public var perCPUUser: [UInt64] = []
        /// The number of quota periods that have passed.
        public var periods: UInt64 = 0
        /// The number of periods in which the quota was used up.
        public var throttledPeriods: UInt64 = 0
        /// The time for which processes were throttled.
        public var throttledTime: UInt64 = 0
        /// The pressure: how much processes wait for a CPU; cgroup v2 only.
        public var pressure: Pressure?
    }

    /// The CPUs and memory nodes that the processes may use.
    public struct CPUSet: Equatable, Sendable {
        /// The CPUs.
        public var cpus: [UInt16] = []
        /// The memory nodes.
        public var mems: [UInt16] = []
        /// Whether the CPUs are exclusive; this value and those below are cgroup v1 only.
        public var cpuExclusive: UInt64 = 0
        /// Whether kernel allocations stay on the nodes.
        public var memHardwall: UInt64 = 0
        /// Whether the nodes are exclusive.
        public var memExclusive: UInt64 = 0
        /// Whether pages move when the nodes change.
        public var memoryMigrate: UInt64 = 0
        /// Whether the page cache is spread over the nodes.
        public var memorySpreadPage: UInt64 = 0
        /// Whether slabs are spread over the nodes.
        public var memorySpreadSlab: UInt64 = 0
        /// The rate of memory reclaims.
        public var memoryPressure: UInt64 = 0
        /// Whether the scheduler balances the load between the CPUs.
        public var schedLoadBalance: UInt64 = 0
        /// How far the scheduler looks for an idle CPU.
        public var schedRelaxDomainLevel: Int64 = 0
    }

    /// Memory, in bytes.
    public struct Memory: Equatable, Sendable {
        /// The page cache.
        public var cache: UInt64 = 0
        /// Memory in use.
        public var usage = Amount()
        /// Memory and swap together, also on v2.
        public var swap = Amount()
        /// Kernel memory; cgroup v1 only.
        public var kernel = Amount()
        /// TCP buffers; cgroup v1 only.
        public var kernelTCP = Amount()
        /// All values of the kernel's `memory.stat`, in its order.
        public var raw: [(name: String, value: UInt64)] = []
        /// The pressure: how much processes wait for memory; cgroup v2 only.
        public var pressure: Pressure?
        /// The number of OOM kills since the container was created; nil without a memory
        /// controller.
        public var outOfMemoryKills: UInt64?
        /// How often the memory limits took effect; cgroup v2 only.
        public var events: MemoryEvents?

        /// Compares all numbers, those of `raw` by name.
        public static func == (one: Memory, other: Memory) -> Bool {
            one.cache == other.cache && one.usage == other.usage && one.swap == other.swap
                && one.kernel == other.kernel && one.kernelTCP == other.kernelTCP
                && one.pressure == other.pressure
                && one.outOfMemoryKills == other.outOfMemoryKills && one.events == other.events
                && one.raw.count == other.raw.count
                // Not every coder keeps their order.
                && one.raw.sorted { $0.name < $1.name }
                    .elementsEqual(other.raw.sorted { $0.name < $1.name }, by: ==)
        }
    }

    /// How often the memory limits of a cgroup took effect.
    ///
    /// Kernel: cgroup-v2.rst, memory.events.
    public struct MemoryEvents: Equatable, Hashable, Sendable {
        /// Memory was reclaimed although usage was below `memory.low`.
        public var low: UInt64 = 0
        /// Processes were throttled because usage exceeded `memory.high`.
        public var high: UInt64 = 0
        /// Usage was about to exceed the limit.
        public var max: UInt64 = 0
        /// The limit was reached and an allocation was about to fail.
        public var outOfMemory: UInt64 = 0
    }

    /// One kind of memory and its limit.
    public struct Amount: Equatable, Sendable {
        /// The limit; the highest number means none.
        public var limit: UInt64 = 0
        /// The present usage.
        public var usage: UInt64 = 0
        /// The peak usage.
        public var max: UInt64 = 0
        /// How often the limit was hit.
        public var failures: UInt64 = 0

        /// The limit; nil if there is none that this machine could reach.
        public var limitIfAny: UInt64? {
            // For no limit, cgroup v1 reports the highest page count in bytes; no machine has 4
            // EiB.
            limit == 0 || limit > 1 << 62 ? nil : limit
        }
    }

    /// Processes and threads.
    public struct Pids: Equatable, Sendable {
        /// The present number.
        public var current: UInt64 = 0
        /// The maximum number; 0 is no limit.
        public var limit: UInt64 = 0

        /// The maximum number; nil if there is no limit.
        public var limitIfAny: UInt64? { limit == 0 || limit == .max ? nil : limit }
    }

    /// Block I/O by device and operation.
    public struct BlockIO: Equatable, Sendable {
        /// Bytes transferred.
        public var serviceBytes: [Entry] = []
        /// Requests completed.
        public var serviced: [Entry] = []
        /// Requests waiting; this value and those below only with BFQ on cgroup v1.
        public var queued: [Entry] = []
        /// Nanoseconds that requests took in total.
        public var serviceTime: [Entry] = []
        /// Nanoseconds that requests waited in total.
        public var waitTime: [Entry] = []
        /// Requests merged into others.
        public var merged: [Entry] = []
        /// Milliseconds of device time given to the cgroup.
        public var time: [Entry] = []
        /// Sectors transferred.
        public var sectors: [Entry] = []
        /// The pressure: how much processes wait for I/O; cgroup v2 only.
        public var pressure: Pressure?

        /// The value for one device and operation.
        public struct Entry: Equatable, Sendable {
            /// The device's major number.
            public var major: UInt64
            /// The device's minor number.
            public var minor: UInt64
            /// `Read`, `Write`, `Total` ...; empty if the kernel does not distinguish operations.
            public var operation: String
            /// The value.
            public var value: UInt64
        }
    }

    /// Huge pages of one size.
    public struct HugePages: Equatable, Sendable {
        /// The size, such as `2MB`.
        public var pageSize: String
        /// Bytes in use, or reserved if the kernel counts reservations.
        public var usage: UInt64 = 0
        /// Peak bytes in use; cgroup v1 only.
        public var max: UInt64 = 0
        /// How often the limit was hit.
        public var failures: UInt64 = 0
    }

    /// The use of one RDMA device.
    ///
    /// Kernel: cgroup-v2.rst, RDMA.
    public struct Rdma: Equatable, Sendable {
        /// The name of the device, such as `mlx4_0`.
        public var device: String
        /// The handles that are open.
        public var handles: UInt64 = 0
        /// The objects that exist.
        public var objects: UInt64 = 0
    }

    /// The share of time in which processes were waiting for a resource.
    ///
    /// Kernel: accounting/psi.rst.
    public struct Pressure: Equatable, Sendable {
        /// The time in which at least one process waited.
        public var some = Share()
        /// The time in which all processes waited.
        public var full = Share()

        /// A share of time.
        public struct Share: Equatable, Sendable {
            /// Percent over the last ten seconds.
            public var average10: Double = 0
            /// Percent over the last minute.
            public var average60: Double = 0
            /// Percent over the last five minutes.
            public var average300: Double = 0
            /// The total, in microseconds.
            public var totalMicroseconds: UInt64 = 0
        }
    }
}
#endif
