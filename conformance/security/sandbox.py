# SPDX-License-Identifier: Apache-2.0
"""A machine of its own for one part of a campaign, so that hostile input meets nothing of the real one.

The part runs in new pid, mount, network, IPC, UTS and cgroup namespaces. All mounts are read-only, except a tmpfs on
/run, /proc and the cgroup hierarchies, whose root is a cgroup made for the sandbox. When the process that made it dies,
by SIGKILL too, everything inside is killed with it, and the mounts vanish; empty cgroups that are left then are
removed by the next campaign.
"""

import ctypes
import json
import os
import pathlib
import select
import signal
import sys
import time

NAME = "swrunc-security-"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = (
    0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000, 0x40000000)
MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE, MS_SHARED = 2, 4, 0x4000, 0x40000, 0x100000
PR_SET_PDEATHSIG, MNT_DETACH = 1, 2
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def mount(source, target, kind, flags=0, options=""):
    check(libc.mount(source.encode(), str(target).encode(), kind.encode(), flags, options.encode()), f"mount {target}")


def propagate(flags):
    check(libc.mount(None, b"/", None, flags | MS_REC, None), "the mounts' propagation")


def hierarchies():
    """Mount point, kind and controllers of each cgroup hierarchy that is below /sys/fs/cgroup."""
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            before, _, after = line.rstrip().partition(" - ")
            target, (kind, _, options) = before.split()[4], after.split()
            if kind in ("cgroup", "cgroup2") and pathlib.Path(target).is_relative_to(CGROUPS):
                names = [word for word in options.split(",") if word not in ("rw", "ro", "xattr", "nsdelegate")]
                found.append((pathlib.Path(target), kind, ",".join(names) if kind == "cgroup" else ""))
    return found


def own_cgroup(target, kind, names):
    """The folder of this process's cgroup in a hierarchy."""
    with open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip().split(":", 2)
            if controllers == names or (kind == "cgroup2" and not controllers):
                here = target / path.lstrip("/")
                return here if here.is_dir() else target
    return target


def write(path, text):
    try:
        path.write_text(text)
    except OSError:
        pass  # A controller that is not there, or a file that is not writable here.


def make_cgroups(megabytes, prefix=NAME):
    """A cgroup in each hierarchy; the one of cgroup v2 is always at its top. Limits protect the machine, unless 0."""
    made = []
    for target, kind, names in hierarchies():
        parent = target if kind == "cgroup2" else own_cgroup(target, kind, names)
        folder = parent / f"{prefix}{os.getpid()}"
        folder.mkdir()
        made.append(folder)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if kind == "cgroup" and (folder / name).exists():
                write(folder / name, (parent / name).read_text())
        write(folder / "cgroup.clone_children", "1")
        if not megabytes:
            continue
        write(folder / "memory.limit_in_bytes", f"{megabytes}M")
        write(folder / "memory.max", f"{megabytes}M")
        write(folder / "memory.swap.max", "0")
        write(folder / "pids.max", "500")
    return made


def remove_cgroups(folders):
    """Ends what is in the cgroups, and removes them with all that are below them."""
    for _ in range(100):
        folders = [folder for folder in folders if folder.exists()]
        for folder in folders:
            for path, _, _ in os.walk(folder, topdown=False):
                path = pathlib.Path(path)
                for name, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                    if (path / name).exists():
                        write(path / name, text)
                try:
                    for pid in (path / "cgroup.procs").read_text().split():
                        os.kill(int(pid), signal.SIGKILL)
                    path.rmdir()
                except OSError:
                    pass
        if not folders:
            return []
        time.sleep(0.05)
    return folders


def alive(pid):
    try:
        # Empty for a zombie, which some machines keep for a while.
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def remove_abandoned(prefix=NAME):
    """Removes the cgroups of campaigns that were killed."""
    for target, kind, names in hierarchies():
        parent = target if kind == "cgroup2" else own_cgroup(target, kind, names)
        for folder in parent.glob(f"{prefix}*"):
            if not alive(folder.name[len(prefix):]):
                remove_cgroups([folder])


def die_with_parent(parent):
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os._exit(1)


def make_read_only():
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    check(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, 32), "mount_setattr")


def arrange_mounts():
    mounted = hierarchies()
    propagate(MS_PRIVATE)
    make_read_only()
    mount("run", "/run", "tmpfs", MS_NOSUID, "mode=755,size=256m")
    mount("proc", "/proc", "proc")
    if mounted:
        check(libc.umount2(bytes(CGROUPS), MNT_DETACH), f"umount {CGROUPS}")
    if mounted and mounted[0][0] != CGROUPS:
        mount("cgroups", CGROUPS, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for target, kind, names in mounted:
        target.mkdir(exist_ok=True)
        mount("cgroup", target, kind, 0, names)
    # As on a machine with systemd: what a runtime lets propagate would be seen in the sandbox.
    propagate(MS_SHARED)


def arrange_cgroups():
    """Moves this process out of the hierarchies' roots, so that containers may get controllers and limits there."""
    for target, kind, _ in hierarchies():
        campaign = target / "campaign"
        campaign.mkdir()
        (campaign / "cgroup.procs").write_text("0")
        if kind == "cgroup2":
            for name in (target / "cgroup.controllers").read_text().split():
                write(target / "cgroup.subtree_control", f"+{name}")


def first_process(work, channel):
    """Process 1 of the sandbox: reaps orphans until the work is done."""
    arrange_mounts()
    arrange_cgroups()
    libc.sethostname(b"sandbox", 7)
    worker = os.fork()
    if worker == 0:
        # What the runtime inherits is the default.
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        try:
            work(lambda **message: os.write(channel, json.dumps(message).encode() + b"\n"))
            os._exit(0)
        except BaseException:
            import traceback
            os.write(channel, json.dumps({"broken": traceback.format_exc()}).encode() + b"\n")
            os._exit(70)
    while True:
        pid, status = os.wait()
        if pid == worker:
            os._exit(os.waitstatus_to_exitcode(status) & 0xff)


class Sandbox:
    """Runs work(tell), a function, inside; tell(key=value) sends a message to `messages`. Use with `with`."""

    def __init__(self, work, megabytes=600):
        self.work, self.megabytes = work, megabytes
        self.cgroups, self.child = [], None

    def __enter__(self):
        remove_abandoned()
        self.cgroups = make_cgroups(self.megabytes)
        here, channel = os.pipe()
        parent = os.getpid()
        self.child = os.fork()
        if self.child == 0:
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)
            try:
                self.enter(parent, channel)
            except BaseException as error:
                os.write(channel, json.dumps({"broken": f"no sandbox: {error}"}).encode() + b"\n")
            os._exit(1)
        os.close(channel)
        self.channel = here
        return self

    def enter(self, parent, channel):
        die_with_parent(parent)
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 0)
        for folder in self.cgroups:
            (folder / "cgroup.procs").write_text("0")
        check(libc.unshare(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET),
              "unshare")
        # With a process in it, a cgroup v2 could not give its controllers to those below.
        for folder in self.cgroups:
            (folder / "waiting").mkdir()
            (folder / "waiting/cgroup.procs").write_text("0")
        first = os.fork()
        if first == 0:
            die_with_parent(0)  # The parent is outside of the pid namespace.
            first_process(self.work, channel)
        os.close(channel)
        os.waitpid(first, 0)
        os._exit(0)

    def messages(self, quiet_seconds):
        """Yields what is told, until the sandbox ends, or has told nothing for this long: then {"quiet": seconds}."""
        buffer = b""
        while True:
            ready, _, _ = select.select([self.channel], [], [], quiet_seconds)
            if not ready:
                yield {"quiet": quiet_seconds}
                return
            read = os.read(self.channel, 1 << 20)
            if not read:
                return
            buffer += read
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                yield json.loads(line)

    def __exit__(self, *_):
        if self.child:
            try:
                os.kill(self.child, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.waitpid(self.child, 0)
            os.close(self.channel)
        left = remove_cgroups(self.cgroups)
        if left:
            print(f"security: cannot remove {left}", file=sys.stderr)
