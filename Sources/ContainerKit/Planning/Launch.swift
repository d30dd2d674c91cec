// SPDX-License-Identifier: Apache-2.0

// Planning: from a bundle to a LaunchPlan, without touching anything.
//
//   Launch                 a planned launch
//   LaunchFacts            what a plan depends on: the host, the caller, and for create and exec the rest
//   Launch+Create          a plan for a new container
//   CreateRecipe           its steps: the child's
//   CreateRecipe+Parent    the runtime's
//   ExecRecipe             the recipe for a further process in a running container
//   AttributePlan          scheduler, I/O priority, CPU affinity, memory policy, personality
//   IdentityPlan           user, groups, capabilities, seccomp, the program: shared by both recipes
//   StreamPlan             the standard streams: whose they are, and the container's own devices
//   SecurityLabels         AppArmor profile, SELinux label
//   HookPlan               hooks, by the point at which they run
//   RootEntry, RootPath    how init gets into its root, and where that lies on the host
//   MountPlan              mounts: what the parent prepares, what the child attaches
//   MountPlan+Cgroups, MountPlan+Devices, MountPlan+UserNamespace  cgroup mounts; /dev; mapped ids
//   MountFacts             what is known of single mounts before they are planned
//   TreeSupply             how prepared trees reach the child
//   UnprivilegedMounts     the same as steps of the child, where the runtime may not prepare them
//   HiddenPaths            masked and read-only paths
//   Device+Node            device nodes: mode, owner, number
//   MountOptions, MountOptionWords, MountAttributes, Propagation  the words of options, for the kernel
//   RuntimeRights          what the runtime may do, where it is not root of the host
//   NamespacePlan          which namespaces are new, joined, or shared with the host
//   UserNamespacePlan      how the container comes into its user namespace, and its id maps
//   IDMapLimits            how long a map of ids may be
//   ResctrlPlan            linux.intelRdt: its groups and their schemata

internal import ByteText
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// A launch as it is planned: nothing has been made yet.
struct Launch: Sendable {
    /// What the runtime and the init process will do, step by step.
    let plan: LaunchPlan
    /// The cgroups to make, for the record; nil when those of a container are entered.
    let cgroups: CgroupLayout?
    /// What of the config has no effect.
    var warnings: [String] = []
}
