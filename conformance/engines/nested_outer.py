# SPDX-License-Identifier: Apache-2.0
"""A container with a runtime in it: its bundle, and calls of that runtime.

The outer container has the host's programs by a bind mount of /usr, and the inner one's bundle in /inner.
"""

import contextlib
import json
import os
import pathlib
import subprocess

from harness import CALL_SECONDS, Failed, call, cgroups, eventually, expect

UNIFIED = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
OUTER, INNER = "nested-outer", "nested-inner"
# What Docker leaves to a container that is not privileged.
USUAL = """CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL
AUDIT_WRITE""".split()
# Every capability, by its number.
EVERY = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()
MEMORY_LIMIT, LOWER_LIMIT = 64 << 20, 32 << 20
USER = 1000

current = {}


def template(*flags):
    """The tested runtime's own default config."""
    folder = current["scratch"] / "template"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").unlink(missing_ok=True)
    call(current["runtime"].path, "spec", *flags, cwd=folder)
    return json.loads((folder / "config.json").read_text())


def bind(source, destination, *options):
    return {"destination": destination, "type": "bind", "source": str(source), "options": ["rbind", *options]}


def root():
    """The outer container's root file system, beside which all is mounted."""
    made = current["scratch"] / "root"
    for folder in ("usr", "proc", "sys", "dev", "etc", "home", "inner/rootfs"):
        (made / folder).mkdir(parents=True, exist_ok=True)
    for link in ("bin", "sbin", "lib", "lib64"):
        if not (made / link).is_symlink():
            (made / link).symlink_to(f"usr/{link}")
    # runc gives a tmpfs the mode of what it covers.
    (made / "run").mkdir(exist_ok=True)
    (made / "run").chmod(0o1777)
    (made / "runtime").touch()
    (made / "etc/ld.so.cache").touch()
    (made / "etc/passwd").write_text(f"root:x:0:0:root:/:/bin/sh\nuser:x:{USER}:{USER}:user:/home:/bin/sh\n")
    return made


def granted(privileged):
    """Of the capabilities, those that this machine itself has: runc refuses others."""
    text = pathlib.Path("/proc/self/status").read_text()
    bounding = int(next(line.split()[1] for line in text.splitlines() if line.startswith("CapBnd")), 16)
    names = EVERY if privileged else USUAL
    return [f"CAP_{name}" for number, name in enumerate(EVERY) if name in names and bounding >> number & 1]


def inner_config(rootless, limited):
    config = template(*(["--rootless"] if rootless else []))
    config["process"].update(terminal=False, args=["sleep", "1000"], rlimits=[])
    config["root"] = {"path": "rootfs", "readonly": True}
    linux = config["linux"]
    if rootless:
        for kind in ("uid", "gid"):
            linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": USER, "size": 1}]
    elif limited:
        linux["resources"]["memory"] = {"limit": MEMORY_LIMIT}
    return config


def prepare(made, rootless, limited):
    """The inner container's bundle."""
    (made / "inner/config.json").write_text(json.dumps(inner_config(rootless, limited)))


def outer_config(made, privileged, cgroup_namespace, masked, user, mapped):
    config = template()
    process, linux = config["process"], config["linux"]
    process.update(terminal=False, args=["/usr/bin/sleep", "3000"], rlimits=[], noNewPrivileges=False)
    process["user"] = {"uid": user, "gid": user}
    process["env"].append("XDG_RUNTIME_DIR=/run")
    kinds = () if user else ("bounding", "effective", "permitted")
    process["capabilities"] = {kind: granted(privileged) for kind in kinds}
    config["root"] = {"path": str(made), "readonly": False}
    config["mounts"] += [
        bind("/usr", "/usr", "ro"),
        bind("/etc/ld.so.cache", "/etc/ld.so.cache", "ro"),
        bind(current["runtime"].path, "/runtime", "ro"),
        bind(current["busybox"], "/inner/rootfs"),
        {"destination": "/run", "type": "tmpfs", "source": "run", "options": ["mode=1777"]},
    ]
    linux["cgroupsPath"] = f"/{OUTER}"
    kinds = ["pid", "network", "ipc", "uts", "mount", *["cgroup"] * cgroup_namespace, *["user"] * mapped]
    linux["namespaces"] = [{"type": kind} for kind in kinds]
    if mapped:
        for kind in ("uid", "gid"):
            linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
    if privileged:
        linux["resources"] = {"devices": [{"allow": True, "access": "rwm"}]}
        for mount in config["mounts"]:
            if mount["destination"] in ("/sys", "/sys/fs/cgroup"):
                mount["options"] = [option for option in mount["options"] if option != "ro"]
    if not masked:
        linux.update(maskedPaths=[], readonlyPaths=[])
    return config


class Outer:
    """A running outer container."""

    def __init__(self, rootless):
        self.cgroup = OUTER
        # root keeps its states where nothing of the host is; an ordinary user where its default is.
        self.root = () if rootless else ("--root", "/run/inner")

    def runtime(self, *words, **options):
        path = current["runtime"].path
        return call(path, "--root", current["scratch"] / "states", *words, **options)

    def run(self, *words, **options):
        """A program in the outer container."""
        return self.runtime("exec", OUTER, *words, **options)

    def shell(self, text, **options):
        return self.run("/bin/sh", "-ec", text, **options)

    def inner(self, *words, **options):
        """The runtime that is in the outer container."""
        return self.run("/runtime", *self.root, *words, **options)

    def create(self, *flags, status=0):
        """Creates the inner container; its streams are a file's, since they stay open."""
        words = " ".join(["/runtime", *self.root, *flags, "create --bundle /inner", INNER])
        return self.shell(f"{words} </dev/null >/run/log 2>&1 || {{ echo $?; cat /run/log; exit 9; }}", status=status)

    def state(self):
        return json.loads(self.inner("state", INNER))["status"]


@contextlib.contextmanager
def outer(
    privileged=False, cgroup_namespace=True, masked=True, user=0, mapped=False, rootless=False, seccomp=None
):
    """Runs an outer container for the time of the `with`; nothing of it, or of the inner one, may be left."""
    made = root()
    prepare(made, rootless, limited=not mapped)
    config = outer_config(made, privileged, cgroup_namespace, masked, user, mapped)
    if seccomp:
        config["linux"]["seccomp"] = seccomp
    bundle = current["scratch"] / "bundle"
    bundle.mkdir(exist_ok=True)
    (bundle / "config.json").write_text(json.dumps(config))
    running = Outer(rootless)
    log = current["scratch"] / "log"
    try:
        # The container keeps these streams, so that they are no pipes.
        words = [current["runtime"].path, "--root", current["scratch"] / "states", "run", "--detach"]
        words += ["--bundle", bundle, OUTER]
        with open(log, "w") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            done = subprocess.run(words, timeout=CALL_SECONDS, **streams)
        if done.returncode:
            raise Failed(f"the outer container does not start\n{log.read_text()}")
        yield running
    finally:
        running.runtime("delete", "--force", OUTER, status=None)


def of_inner():
    """The inner container's cgroups, as the host sees them."""
    return sorted(cgroups(rf"/{INNER}$"))


def limit():
    """The inner container's memory limit, as the host sees it."""
    name = "memory.max" if UNIFIED else "memory.limit_in_bytes"
    files = [pathlib.Path(folder, name) for folder in of_inner()]
    return [int(file.read_text()) for file in files if file.exists()]


def lives(running, *flags):
    """An inner container with limits is created, started, entered, paused, changed, ended and deleted."""
    running.create(*flags)
    expect(running.state(), "created", "status")
    expect(limit(), [MEMORY_LIMIT], "the memory limit, as the host sees it")
    expect(all(running.cgroup in folder for folder in of_inner()), True, f"all are in the outer's: {of_inner()}")
    running.inner("start", INNER)
    expect(running.inner("exec", INNER, "cat", "/proc/1/comm"), "sleep", "the first process in the inner container")
    running.inner("exec", INNER, "sh", "-c", "exit 7", status=7)
    running.inner("pause", INNER)
    expect(running.state(), "paused", "status")
    running.inner("resume", INNER)
    running.inner("update", "--memory", LOWER_LIMIT, INNER)
    expect(limit(), [LOWER_LIMIT], "the memory limit after an update")
    ends(running)
    expect(of_inner(), [], "the inner container's cgroups")


def lives_without_cgroup(running):
    """The same of an ordinary user's, which has no cgroup."""
    running.create()
    running.inner("start", INNER)
    expect(running.inner("exec", INNER, "cat", "/proc/1/comm"), "sleep", "the first process in the inner container")
    expect(running.inner("exec", INNER, "id", "-u"), "0")
    ends(running)


def ends(running):
    running.inner("kill", INNER, "KILL")
    eventually(lambda: running.state() == "stopped", "the inner container is stopped")
    running.inner("delete", INNER)
    running.inner("state", INNER, status=1)
