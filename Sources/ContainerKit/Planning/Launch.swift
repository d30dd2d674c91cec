// SPDX-License-Identifier: Apache-2.0

// Planning: makes a LaunchPlan from a bundle and facts, without touching the host.
//
//   Launch                 a planned launch
//   LaunchFacts            the facts that a plan depends on: host, caller, those of create or exec
//   Launch+Create          a plan for a new container
//   Launch+Mounts          plans for mounts that are added to a running container, and removed
//   Launch+Devices         a plan that makes a device node in a running container
//   CreateRecipe           the steps of the child for a new container
//   CreateRecipe+Parent    the steps of the runtime for a new container
//   ExecRecipe             the recipe for another process in a running container
//   AttributePlan          scheduler, I/O priority, CPU affinity, memory policy, personality
//   IdentityPlan           user, groups, capabilities, seccomp, the program: shared by both recipes
//   LandlockPlan           rules of Landlock, as far as a kernel knows them
//   StreamPlan             the standard streams: their owner, and the container's own devices
//   SecurityLabels         AppArmor profile and SELinux label
//   HookPlan               hooks, by the point at which they run
//   RootEntry, RootPath    how init enters its root, and the root's path on the host
//   MountPlan              mounts: the parent's preparations and the child's steps
//   MountPlan+Cgroups, MountPlan+Devices, MountPlan+UserNamespace  cgroup mounts; /dev; ID mappings
//   MountFacts             facts about single mounts
//   TreeSupply             how prepared trees reach the child
//   UnprivilegedMounts     the preparations as steps of the child, if the runtime may not do them
//   MaskedPaths            masked and read-only paths
//   Device+Node            device nodes: mode, owner, number
//   MountOptions, MountOptionWords, MountAttributes, Propagation  mount options as the kernel's
//   RuntimeRights          the rights of a runtime that may not be root of the host
//   NamespacePlan          which namespaces are new, joined, or shared with the host
//   UserNamespacePlan      how the container enters its user namespace, and its ID maps
//   IDMapLimits            the kernel's limits for an ID map
//   ResctrlPlan            linux.intelRdt: the groups and their schemata

#if os(Linux)
internal import ByteText
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// A planned launch: nothing has been made yet.
struct Launch: Sendable {
    /// The steps of the runtime and of the init process.
    let plan: LaunchPlan
    /// The cgroups to make, for the record; nil for a process that enters existing ones.
    let cgroups: CgroupLayout?
    /// Settings of the config that have no effect.
    var warnings: [String] = []
}
#endif
