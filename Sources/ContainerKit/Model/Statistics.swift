// SPDX-License-Identifier: Apache-2.0

// Values of the public API that are of no config.
//
//   ContainerError       what went wrong: a code for programs, a text and a hint for people
//   LaunchOptions        what the caller chooses beside the config
//   CheckpointOptions    what the caller of a checkpoint or a restore chooses
//   ConfigAnnotation     the annotations that change what is done
//   ReadinessSocket      where a container's process tells that it is ready
//   RuntimeVersion       what `--version` tells
//   Statistics           what a container uses
//   Statistics+IntelRdt  what resctrl counts
//   Statistics+JSON      the same with runc's keys
//   Signal               what a process is sent
//   Timestamp            a moment in RFC 3339's text

/// What a container uses, read from its cgroup at one moment.
///
/// A number that the kernel does not tell is zero. The groups and their names are runc's.
public struct Statistics: Equatable, Sendable {
    /// CPU time.
    public var cpu = CPU()
    /// The CPUs and memory nodes that may be used; cgroup v1 tells more of them than v2.
    public var cpuSet = CPUSet()
    /// Memory.
    public var memory = Memory()
    /// Processes and threads.
    public var pids = Pids()
    /// Block I/O.
    public var blockIO = BlockIO()
    /// Huge pages by their size, such as `2MB`, in the order of the sizes' names.
    public var hugePages: [HugePages] = []
    /// The class in resctrl; nil for a container without one.
    public var intelRdt: IntelRdt?

    /// A container that uses nothing.
    public init() {}

    /// CPU time, in nanoseconds.
    public struct CPU: Equatable, Sendable {
        /// All time.
        public var total: UInt64 = 0
        /// Time in the kernel.
        public var kernel: UInt64 = 0
        /// Time in user mode.
        public var user: UInt64 = 0
        /// Time on each CPU; cgroup v1 only, as the next two.
        public var perCPU: [UInt64] = []
        /// Time in the kernel on each CPU.
        public var perCPUKernel: [UInt64] = []
        /// Time in user mode on each CPU.
        public var perCPUUser: [UInt64] = []
        /// The periods of the quota that have passed.
        public var periods: UInt64 = 0
        /// The periods in which the quota was used up.
        public var throttledPeriods: UInt64 = 0
        /// For how long processes had to wait for the next period.
        public var throttledTime: UInt64 = 0
        /// How much processes wait for a CPU; cgroup v2 only.
        public var pressure: Pressure?
    }

    /// Where processes may run and allocate.
    public struct CPUSet: Equatable, Sendable {
        /// The CPUs.
        public var cpus: [UInt16] = []
        /// The memory nodes.
        public var mems: [UInt16] = []
        /// Whether the CPUs are the cgroup's alone; this and what follows are of cgroup v1.
        public var cpuExclusive: UInt64 = 0
        /// Whether kernel allocations stay on the nodes.
        public var memHardwall: UInt64 = 0
        /// Whether the nodes are the cgroup's alone.
        public var memExclusive: UInt64 = 0
        /// Whether pages follow a change of the nodes.
        public var memoryMigrate: UInt64 = 0
        /// Whether the page cache is spread over the nodes.
        public var memorySpreadPage: UInt64 = 0
        /// Whether slabs are spread over the nodes.
        public var memorySpreadSlab: UInt64 = 0
        /// The rate of reclaims.
        public var memoryPressure: UInt64 = 0
        /// Whether the scheduler balances the load between the CPUs.
        public var schedLoadBalance: UInt64 = 0
        /// How far it looks for an idle CPU.
        public var schedRelaxDomainLevel: Int64 = 0
    }

    /// Memory, in bytes.
    public struct Memory: Equatable, Sendable {
        /// The page cache.
        public var cache: UInt64 = 0
        /// Memory.
        public var usage = Amount()
        /// Memory and swap together, on v2 too.
        public var swap = Amount()
        /// Kernel memory; cgroup v1 only.
        public var kernel = Amount()
        /// TCP buffers; cgroup v1 only.
        public var kernelTCP = Amount()
        /// Every number of the kernel's `memory.stat`, in its order.
        public var raw: [(name: String, value: UInt64)] = []
        /// How much processes wait for memory; cgroup v2 only.
        public var pressure: Pressure?
        /// How many processes the kernel has killed for want of memory since the container was created; nil
        /// where nobody counts them.
        public var outOfMemoryKills: UInt64?
        /// How often the bounds of memory were met; cgroup v2 only.
        public var events: MemoryEvents?

        /// Compares all numbers.
        public static func == (one: Memory, other: Memory) -> Bool {
            one.cache == other.cache && one.usage == other.usage && one.swap == other.swap
                && one.kernel == other.kernel && one.kernelTCP == other.kernelTCP
                && one.raw.elementsEqual(other.raw, by: ==) && one.pressure == other.pressure
                && one.outOfMemoryKills == other.outOfMemoryKills && one.events == other.events
        }
    }

    /// How often a cgroup has met the bounds of its memory.
    ///
    /// Kernel: cgroup-v2.rst, memory.events.
    public struct MemoryEvents: Equatable, Hashable, Sendable {
        /// Memory was taken away although less than `memory.low` was in use.
        public var low: UInt64 = 0
        /// Processes were held up since more than `memory.high` was in use.
        public var high: UInt64 = 0
        /// The limit was about to be passed.
        public var max: UInt64 = 0
        /// The limit was met and memory could not be had.
        public var outOfMemory: UInt64 = 0
    }

    /// One kind of memory and its limit.
    public struct Amount: Equatable, Sendable {
        /// The limit; the highest number is none.
        public var limit: UInt64 = 0
        /// What is used.
        public var usage: UInt64 = 0
        /// The most that was ever used.
        public var max: UInt64 = 0
        /// How often the limit was hit.
        public var failures: UInt64 = 0

        /// The limit; nil where there is none, as far as this machine could ever have so much.
        public var limitIfAny: UInt64? {
            // cgroup v1 writes the highest number of pages in bytes, for none; nothing has 4 EiB.
            limit == 0 || limit > 1 << 62 ? nil : limit
        }
    }

    /// Processes and threads.
    public struct Pids: Equatable, Sendable {
        /// How many there are.
        public var current: UInt64 = 0
        /// How many there may be; 0 is no limit.
        public var limit: UInt64 = 0

        /// How many there may be; nil where there is no limit.
        public var limitIfAny: UInt64? { limit == 0 || limit == .max ? nil : limit }
    }

    /// Block I/O by device and operation.
    public struct BlockIO: Equatable, Sendable {
        /// Bytes moved.
        public var serviceBytes: [Entry] = []
        /// Requests served.
        public var serviced: [Entry] = []
        /// Requests that wait; this and what follows only with BFQ on cgroup v1.
        public var queued: [Entry] = []
        /// Nanoseconds that requests took.
        public var serviceTime: [Entry] = []
        /// Nanoseconds that requests waited.
        public var waitTime: [Entry] = []
        /// Requests merged into others.
        public var merged: [Entry] = []
        /// Milliseconds that the device was the cgroup's.
        public var time: [Entry] = []
        /// Sectors moved.
        public var sectors: [Entry] = []
        /// How much processes wait for I/O; cgroup v2 only.
        public var pressure: Pressure?

        /// One device and operation.
        public struct Entry: Equatable, Sendable {
            /// The device's major number.
            public var major: UInt64
            /// The device's minor number.
            public var minor: UInt64
            /// `Read`, `Write`, `Total` ...; empty where the kernel tells no operations apart.
            public var operation: String
            /// The number.
            public var value: UInt64
        }
    }

    /// Huge pages of one size.
    public struct HugePages: Equatable, Sendable {
        /// The size, such as `2MB`.
        public var pageSize: String
        /// Bytes used, or reserved where the kernel counts these.
        public var usage: UInt64 = 0
        /// The most bytes that were ever used; cgroup v1 only.
        public var max: UInt64 = 0
        /// How often the limit was hit.
        public var failures: UInt64 = 0
    }

    /// Which part of the time processes were waiting.
    ///
    /// Kernel: accounting/psi.rst.
    public struct Pressure: Equatable, Sendable {
        /// The time in which at least one process waited.
        public var some = Share()
        /// The time in which all processes waited.
        public var full = Share()

        /// A part of the time.
        public struct Share: Equatable, Sendable {
            /// Percent of the last ten seconds.
            public var average10: Double = 0
            /// Percent of the last minute.
            public var average60: Double = 0
            /// Percent of the last five minutes.
            public var average300: Double = 0
            /// Microseconds in all.
            public var totalMicroseconds: UInt64 = 0
        }
    }
}
