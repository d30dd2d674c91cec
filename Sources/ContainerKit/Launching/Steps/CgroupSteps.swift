// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec
internal import SystemPackage

/// Steps for the container's cgroups, their limits, and the systemd scope that contains them.
enum CgroupStep: ParentAction {
    /// Makes systemd start the container's scope, with a process that waits in it until init is
    /// there.
    case startScope(CgroupLayout, [UnitProperty])
    /// Makes the directories, or uses existing ones that are unused.
    case make(CgroupLayout)
    /// Takes an empty cgroup of the caller's, which stays when the container is deleted.
    case adopt(CgroupLayout)
    /// Sets the access to devices: by lines on v1, by a program on v2.
    ///
    /// With `mayBeRefused` a refusal is no error: in a user namespace no device nodes can be made
    /// anyway.
    case setDevices(DeviceAccess, byProgram: Bool, mayBeRefused: Bool)
    /// Writes limits to control files.
    case limit([ControlStep])
    /// Makes the delegated cgroup, below the container's, for the container's process and a user of
    /// the host.
    case makeDelegated(path: String, owner: UInt32?)
    /// Opens the files by which the child enters its cgroups.
    ///
    /// A process of exec `follows` the container's init, if that has moved to another cgroup.
    case open(CgroupLayout, delegated: String, follows: Bool)
    /// Makes a user the owner of the container's v2 cgroup, who may then make cgroups below it.
    case giveTo(userID: UInt32)
    /// Enables the controllers on the path from the container's cgroup to the delegated one.
    case enableControllers(below: String)
    /// Makes systemd move the child into its scope, or a cgroup below, if the runtime may not do
    /// that from its own cgroup.
    case attachToScope(unit: String, below: String)
    /// Ends the process that held the scope, which then contains only the container, and sets the
    /// limits that had to leave room for that process.
    case leaveScope([ControlStep], [UnitProperty])
    /// Leaves a process in the scope, which systemd then keeps until the container is deleted.
    case keepScope

    var sentence: String {
        switch self {
        case .startScope(let layout, let properties):
            "let systemd start \(layout.scope?.unit ?? "") with a waiting process: "
                + properties.map(\.description).joined(separator: "; ")
        case .make(let layout):
            "make the cgroups \(layout.directories.map(\.path).joined(separator: ", "))"
                + (layout.keeperPath.map { ", and \($0) for the process that waits" } ?? "")
        case .adopt(let layout):
            "use the caller's cgroup \(layout.directories.map(\.name).joined(separator: ", ")), "
                + "which stays when the container is deleted"
        case .setDevices(let access, let byProgram, _):
            (byProgram ? "load a program that lets" : "let")
                + " the cgroup use \(access.sentencePart)"
        case .limit(let steps): "write \(steps.sentencePart)"
        case .makeDelegated(let path, let owner):
            "make the cgroup \(path) below, which is left to the container"
                + (owner.map { ", for user \($0)" } ?? "")
        case .open: "open the cgroups for the child"
        case .giveTo(let userID): "give the cgroup to user \(userID)"
        case .enableControllers(let path): "enable the controllers down to \(path) below the cgroup"
        case .attachToScope(let unit, let path): "let systemd move the child into \(unit)\(path)"
        case .leaveScope(let steps, let properties):
            "end the process that waited in the scope"
                + (steps.isEmpty ? "" : "; write \(steps.sentencePart)")
                + (properties.isEmpty
                    ? ""
                    : "; tell systemd \(properties.map(\.description).joined(separator: "; "))")
        case .keepScope: "leave a process in the scope, which keeps it until delete"
        }
    }

    var exchanges: [Exchange] { [] }

    var provides: [InheritedDescriptor] {
        switch self {
        case .open(let layout, let delegated, _):
            (layout.unifiedIndex == nil ? [] : [.cgroupDirectory])
                + (0..<max(layout.v1DirectoryCount, delegated.isEmpty ? 0 : 1)).map {
                    .cgroupTasks($0)
                }
        case .startScope, .make, .adopt, .setDevices, .limit, .makeDelegated, .giveTo,
            .enableControllers, .attachToScope, .leaveScope, .keepScope:
            []
        }
    }

    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError) {
        switch self {
        case .attachToScope(let unit, let path):
            try launcher.attachToScope(unit, below: path)
        case .startScope(let layout, let properties):
            try launcher.startScope(layout, properties)
        case .enableControllers(let path): launcher.cgroup?.enableControllers(below: path)
        case .keepScope: try launcher.leaveKeeperInScope()
        case .open(let layout, let delegated, let follows):
            try launcher.openCgroups(layout, delegated: delegated, follows: follows)
        case .make, .adopt, .setDevices, .limit, .makeDelegated, .giveTo, .leaveScope:
            do throws(CgroupError) {
                try performOnCgroup(launcher)
            } catch {
                throw ContainerError(error)
            }
        }
    }

    private func performOnCgroup(_ launcher: Launcher) throws(CgroupError) {
        switch self {
        case .make(let layout): try launcher.makeCgroups(layout)
        case .adopt(let layout): try launcher.adoptCgroup(layout)
        case .setDevices(let access, _, let mayBeRefused):
            do throws(CgroupError) {
                try launcher.cgroup?.apply(access, from: nil)
            } catch  where mayBeRefused && error.failure?.errno == .notPermitted {
                // Spec: config-linux.md, Allowed Device list; runc ignores this too.
            }
        case .limit(let steps): try launcher.cgroup?.apply(steps)
        case .makeDelegated(let path, let owner):
            try launcher.cgroup?.makeDelegated(path, owner: owner)
        case .giveTo(let user): try launcher.cgroup?.delegate(to: user)
        case .leaveScope(let steps, let properties):
            launcher.endScopeKeeper()
            try launcher.cgroup?.apply(steps)
            try launcher.cgroup?.setProperties(properties)
        case .startScope, .open, .enableControllers, .attachToScope, .keepScope: break
        }
    }
}

// MARK: - Cgroups

extension Launcher {
    fileprivate func makeCgroups(_ layout: CgroupLayout) throws(CgroupError) {
        if scopeKeeper == nil { takeBackOnFailure { $0.takeCgroupBack() } }
        let made = try Cgroup.create(layout, keeper: scopeKeeper?.pid, holding: &cgroupLock)
        record?.outOfMemoryKillsBefore = made.outOfMemoryKillsBefore
        cgroup = made
    }

    fileprivate func adoptCgroup(_ layout: CgroupLayout) throws(CgroupError) {
        takeBackOnFailure { $0.takeCgroupBack() }
        let adopted = try Cgroup.adopt(layout, holding: &cgroupLock)
        record?.outOfMemoryKillsBefore = adopted.outOfMemoryKillsBefore
        cgroup = adopted
    }

    fileprivate func openCgroups(_ layout: CgroupLayout, delegated: String, follows: Bool)
        throws(ContainerError)
    {
        var found = self.cgroup
        if found == nil {
            found = try reporting { () throws(CgroupError) in try Cgroup.open(layout) }
        }
        let cgroup = found ?? Cgroup(layout)
        self.cgroup = cgroup
        do throws(ContainerError) {
            try openCgroups(of: cgroup, delegated)
        } catch {
            // Init may have left the cgroup since the last look, or the unified cgroup of a hybrid
            // host, which limits nothing.
            guard follows, error.failure?.errno == .noSuchFileOrDirectory,
                let present = cgroup.following(initProcess: joinedPid)
            else { throw error }
            self.cgroup = present
            try openCgroups(of: present, delegated)
        }
    }

    private func openCgroups(of cgroup: Cgroup, _ delegated: String) throws(ContainerError) {
        do throws(CgroupError) {
            if let directory = try cgroup.openUnifiedDirectory() {
                let number = own(directory)
                cgroupForClone = number
                inputs[.cgroupDirectory] = number
            }
            if !delegated.isEmpty {
                inputs[.cgroupTasks(0)] = own(try cgroup.openDelegated(delegated))
            }
            var entrance = try cgroup.openEntrance()
            for (index, number) in entrance.release().enumerated() {
                inputs[.cgroupTasks(index)] = own(OwnedDescriptor(taking: number))
            }
        } catch {
            throw ContainerError(error)
        }
    }

    /// Removes the cgroup of a failed launch, and its scope.
    ///
    /// If the container was deleted meanwhile, no process is killed, since a cgroup of that path
    /// may be the next container's.
    ///
    /// While init does not end, `delete` needs them.
    private func takeCgroupBack() {
        if stuckChild != nil { return endScopeKeeper() }
        if !wasDeleted {
            try? cgroup?.killAll()
            try? cgroup?.leave()
        }
        endScopeKeeper()
        if let startedScope { try? systemd?.stop(startedScope) }
        cgroup?.removeMadeDirectories()
    }
}

// MARK: - Scopes of systemd

extension Launcher {
    /// Makes systemd start the scope, so that its cgroup exists for the steps that follow.
    fileprivate func startScope(_ layout: CgroupLayout, _ properties: [UnitProperty])
        throws(ContainerError)
    {
        guard let systemd, let unit = layout.scope?.unit else { return }
        try decideOnSealedStart()
        // In a frozen cgroup neither init nor the waiting process could run.
        let cgroup = Cgroup(layout)
        if cgroup.exists {
            do throws(CgroupError) { try cgroup.refuseOccupied() } catch {
                throw ContainerError(error)
            }
        }
        let keeper = try ScopeKeeper()
        do throws(SystemdError) {
            try systemd.start(unit, properties, process: keeper.pid)
        } catch {
            throw ContainerError(CgroupError(error, "unable to start \(unit)"))
        }
        scopeKeeper = keeper
        startedScope = unit
        takeBackOnFailure { $0.takeCgroupBack() }
    }

    /// Makes systemd move the child: a user's systemd may move processes that the user may not.
    fileprivate func attachToScope(_ unit: String, below path: String) throws(ContainerError) {
        do throws(SystemdError) {
            let client = if let systemd { systemd } else { try SystemdClient(.user) }
            try client.attach(pid, to: unit, below: path)
        } catch {
            throw ContainerError(CgroupError(error, "unable to enter \(unit)"))
        }
    }

    /// Lets a process stay in the scope, which ends when the container is deleted.
    fileprivate func leaveKeeperInScope() throws(ContainerError) {
        try scopeKeeper?.stay()
        scopeKeeper = nil
    }

    /// Ends the process that held the scope; by now init is in it.
    fileprivate func endScopeKeeper() {
        scopeKeeper?.end()
        scopeKeeper = nil
    }
}

// MARK: - Words

extension DeviceAccess {
    /// The device rules for a sentence: the lines of the v1 files.
    fileprivate var sentencePart: String {
        let lines = exceptions.map(\.line).joined(separator: ", ")
        guard allowsByDefault else { return lines.isEmpty ? "no device" : lines }
        return "every device" + (lines.isEmpty ? "" : " but \(lines)")
    }
}

extension [ControlStep] {
    /// The control files and their values, for a sentence.
    fileprivate var sentencePart: String {
        compactMap { step in
            switch step {
            case .write(let write): "\(write.file) = \(write.text)"
            case .writeFirst(let writes): writes.first.map { "\($0.file) = \($0.text)" }
            case .requireUsage: nil
            }
        }.joined(separator: "; ")
    }
}
#endif
