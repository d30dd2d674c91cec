# SPDX-License-Identifier: Apache-2.0
"""What every part stands on: bundles with hostile images, calls of the runtime and the rules for them, and what is left.

The rules: a call ends in time and not by a signal, an error is one line that says what is wrong, nothing outside of the
bundle's root file system changes, and when the container is deleted, or was never made, nothing is left of it.
"""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

import sandbox

PLACE = pathlib.Path("/run/s")
STATE, BUNDLE, CWD, OUTSIDE, OUTPUT = (PLACE / name for name in ("state", "bundle", "cwd", "outside", "output"))
CANARY = "canary-of-the-host"
TRAPS = (b"Fatal error", b"Swift runtime failure", b"Program crashed", b"core dumped", b"stack backtrace", b"panicked at")
# SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGSEGV, as a shell tells them.
TRAP_STATUSES = {132, 133, 134, 135, 139}
APPLETS = ("true", "sh", "cat", "sleep", "echo", "grep")
HOST_FILES = ("/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
              "/proc/sys/vm/overcommit_memory", "/proc/sys/fs/file-max", "/proc/sys/kernel/panic")


@dataclasses.dataclass
class Done:
    words: list
    status: int
    out: bytes
    err: bytes
    hung: bool

    @property
    def told(self):
        """The call for a report."""
        words = [word if len(word) < 200 else f"{word[:60]}...({len(word)} characters)" for word in self.words]
        return " ".join(words).encode("utf-8", "backslashreplace").decode()


def base():
    """A config like the one of `spec`, which works everywhere."""
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["true"], "env": ["PATH=/bin", "TERM=xterm"], "cwd": "/",
            "capabilities": {kind: ["CAP_KILL"] for kind in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}], "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {
            "cgroupsPath": "/part/box",
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/sys"],
        },
    }


def wide():
    """A config with as much in it as this machine can run."""
    config = base()
    config["process"] |= {
        "oomScoreAdj": 100, "user": {"uid": 7, "gid": 8, "umask": 63, "additionalGids": [5, 6]},
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4}, "consoleSize": {"height": 24, "width": 80},
        "scheduler": {"policy": "SCHED_BATCH", "nice": 5}, "cwd": "/made/here",
    }
    config["mounts"] += [
        {"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "ro"]},
        {"destination": "/data/deep", "type": "none", "source": "share", "options": ["rbind", "ro", "rprivate", "nosuid"]},
        {"destination": "/data/deep/file", "type": "bind", "source": "share/file", "options": ["bind"]},
        {"destination": "/one", "type": "bind", "source": "share/file", "options": ["bind", "noexec"]},
    ]
    hook = {"path": "/bin/true", "args": ["true", "x"], "env": ["A=b"], "timeout": 10}
    config["hooks"] = {kind: [hook] for kind in ("createRuntime", "createContainer", "poststart", "poststop")}
    config["annotations"] = {"org.example.key": "value", "run.oci.keep_original_groups": "0"}
    config["linux"] |= {
        "sysctl": {"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"},
        "devices": [{"path": "/dev/made/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 438, "uid": 0, "gid": 0}],
        "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {"names": ["reboot", "swapon"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
             "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}]},
        "rootfsPropagation": "private", "personality": {"domain": "LINUX"}, "timeOffsets": {"monotonic": {"secs": 5}},
    }
    config["linux"]["namespaces"] += [{"type": "cgroup"}, {"type": "time"}]
    limits = {"pids": {"limit": 50}, "memory": {"limit": 64 << 20, "reservation": 32 << 20}, "cpu": {"shares": 100}}
    if "cpuset" in controllers():
        limits["cpu"]["cpus"] = "0"
    config["linux"]["resources"] |= {"unified": {}} | {name: value for name, value in limits.items() if name in controllers()}
    return config


def controllers():
    """Those that the sandbox may use; on cgroup v2, systemd may have kept some for itself."""
    found = set()
    for target, kind, names in sandbox.hierarchies():
        found |= set((target / "cgroup.controllers").read_text().split() if kind == "cgroup2" else names.split(","))
    return found


def mapped():
    """A config with a user namespace."""
    config = base()
    config["linux"]["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        config["linux"][kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    return config


def sleeping():
    config = base()
    config["process"]["args"] = ["sleep", "1000"]
    return config


def remove(path):
    """Removes whatever is there; rmtree by itself would open a fifo."""
    path = pathlib.Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        path.unlink()


def make_special(path, kind, target=""):
    """A file of one of the kinds that hostile images and state directories have."""
    remove(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        path.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    elif kind == "directory":
        path.mkdir()
    elif kind == "file":
        path.write_bytes(target.encode("utf-8", "surrogateescape"))
    elif kind == "sparse":
        path.touch()
        os.truncate(path, int(target))
    elif kind == "device":
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, int(target)))
    elif kind == "unreadable":
        path.touch()
        path.chmod(0)


# What images have in place of directories and files that a runtime opens, makes or mounts on.
IMAGE_PATHS = ["dev", "proc", "sys", "sys/fs", "etc", "etc/passwd", "etc/group", "dev/null", "dev/console", "dev/pts", "dev/ptmx",
               "dev/fd", "data", "data/deep", "made", "one", "bin/true", "proc/self", "proc/kcore"]
IMAGE_KINDS = [("link", str(OUTSIDE)), ("link", str(OUTSIDE / "file")), ("link", str(OUTSIDE / "new")), ("link", "../" * 12),
               ("link", "../" * 12 + str(OUTSIDE)[1:]), ("link", "loop"), ("link", "/proc/self/root"), ("link", "/proc/self/fd/3"),
               ("link", ""), ("link", "/"), ("link", "."), ("link", "a" * 4000), ("fifo", ""), ("socket", ""), ("directory", ""),
               ("file", ""), ("file", "root:x:0:0\n" * 9), ("file", "\udcff:" * 5000), ("device", "3"), ("device", "9"),
               ("unreadable", ""), ("sparse", str(5 << 30))]


class Ground:
    """The place of one part: a bundle, a state directory, files outside of them, and what was there at the beginning."""

    def __init__(self, runtime, limit, patience):
        self.runtime, self.limit, self.patience = runtime, limit, patience
        self.helpers = set()  # Processes of the campaign itself.
        self.calls = self.refused = 0
        for folder in (PLACE, BUNDLE, CWD, OUTPUT):
            folder.mkdir(mode=0o755)
        PLACE.chmod(0o711)
        self.busybox = shutil.which("busybox")
        shutil.copy(self.busybox, PLACE / "busybox")
        OUTSIDE.mkdir()
        (OUTSIDE / "file").write_text(CANARY)
        (OUTSIDE / "deep").mkdir()
        (OUTSIDE / "deep/file").write_text(CANARY)
        self.tolerated = set()
        # The cgroups above a container's stay, as with runc, and so does the directory of the states.
        above = {f"cgroup {target / 'part'}" for target, _, _ in sandbox.hierarchies()}
        self.before = self.present() | above | {f"file {STATE}"}
        self.signature = self.outside()

    # Bundles

    def make_bundle(self, config=None, image=()):
        self.tolerated = set()
        remove(BUNDLE)
        root = BUNDLE / "rootfs"
        for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            (root / name).mkdir(parents=True)
        os.link(PLACE / "busybox", root / "bin/busybox")
        for name in APPLETS:
            os.link(PLACE / "busybox", root / "bin" / name)
        (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\n")
        for name, target in (("link-out", OUTSIDE), ("up", "../" * 12 + str(OUTSIDE)[1:]), ("loop", "loop")):
            (root / name).symlink_to(target)
        make_special(root / "fifo", "fifo")
        (BUNDLE / "share").mkdir()
        (BUNDLE / "share/file").write_text("shared\n")
        for path, kind, target in image:
            above = [root / part for part in pathlib.PurePath(path).parents]
            try:
                # A link of an earlier change would lead out of the image here, too.
                if not any(part.is_symlink() for part in above):
                    make_special(root / path, kind, target)
            except OSError:
                pass  # Below something that an earlier change has made no directory.
        if config is not None:
            self.write_config(config)

    def write_config(self, config):
        text = config if isinstance(config, str) else json.dumps(config)
        path = BUNDLE / "config.json"
        remove(path)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        for found in re.findall(r'"cgroupsPath": ("[^"]*")', text):
            self.tolerate_above(found)

    def tolerate_above(self, quoted):
        try:
            path = os.path.normpath("/" + json.loads(quoted)).lstrip("/")
        except ValueError:
            return
        while path := os.path.dirname(path):
            self.tolerated |= {f"cgroup {target / path}" for target, _, _ in sandbox.hierarchies()}

    # Calls

    def call(self, *words, before=(), limit=None, cwd=CWD, globals=True):
        """Calls the runtime, behind the words of `before`, and waits for it."""
        words = [str(word) for word in words]
        command = [*before, self.runtime, *(["--root", str(STATE)] if globals else []), *words]
        # The output goes to files: a container that stays would keep pipes open.
        with open(OUTPUT / "out", "w+b") as out, open(OUTPUT / "err", "w+b") as err:
            try:
                child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd,
                                         start_new_session=True)
            except (OSError, ValueError) as error:
                return Done(words, 0, b"", str(error).encode(), False)  # Not even the kernel takes these words.
            hung = False
            try:
                status = child.wait(limit or self.limit)
            except subprocess.TimeoutExpired:
                hung = True
                child.kill()
                status = child.wait()
            out.seek(0)
            err.seek(0)
            self.calls += 1
            self.refused += status != 0
            return Done(words, status, out.read(4 << 20), err.read(1 << 20), hung)

    def start(self, *words, cwd=CWD):
        """Starts the runtime without waiting for it."""
        with open(os.devnull, "r+b") as null, open(OUTPUT / "err", "w+b") as err:
            command = [self.runtime, "--root", str(STATE), *map(str, words)]
            return subprocess.Popen(command, stdin=null, stdout=null, stderr=err, cwd=cwd, start_new_session=True)

    def judge(self, done, one_line=True, own_status=False):
        """What is wrong with how a call ended; `own_status`: the status may be that of a program in the container."""
        faults = []
        if done.hung:
            return [f"{done.told}: did not end within {self.limit} s"]
        if done.status < 0:
            faults.append(f"ended by signal {signal.Signals(-done.status).name}")
        if any(trap in done.err for trap in TRAPS):
            faults.append("trapped")
        if done.status in TRAP_STATUSES and not own_status or done.status >= 128 and done.status != 255 and not own_status:
            faults.append(f"ended with status {done.status}")
        if done.status > 0 and one_line and not own_status and not faults:
            faults += error_faults(done)
        if any(byte < 32 and byte not in b"\n\t" for byte in done.err) and not own_status:
            faults.append("wrote control characters to standard error")
        shown = done.err[:600].decode("utf-8", "backslashreplace").strip()
        return [f"{done.told}: {fault}" + (f": {shown}" if shown else "") for fault in faults]

    # What is there

    def processes(self):
        found = {}
        for name in os.listdir("/proc"):
            if name.isdecimal() and int(name) not in (1, os.getpid(), *self.helpers):
                try:
                    state = pathlib.Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
                    words = pathlib.Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ")
                except OSError:
                    continue
                if state not in "ZX":
                    found[int(name)] = words[:100].decode("utf-8", "backslashreplace")
        return found

    def present(self):
        """All that a container could leave, as lines."""
        found = {f"process {pid} {words}" for pid, words in self.processes().items()}
        for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
            words = line.split()
            found.add(f"mount {words[0]} on {words[4]}")
        for target, _, _ in sandbox.hierarchies():
            found |= {f"cgroup {path}" for path, _, _ in os.walk(target)}
        found |= {f"state {path}" for path in (STATE.iterdir() if STATE.is_dir() else ())}
        for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]:
            words = line.split()
            # Without a name they are pairs, which go with their processes.
            if len(words) > 7:
                found.add(f"socket {words[7]}")
        found |= {f"network device {line.split(':')[0].strip()}"
                  for line in pathlib.Path("/proc/net/dev").read_text().splitlines()[2:]}
        found |= {f"file {path}" for path in PLACE.iterdir()}
        found |= {f"file {path}" for path in pathlib.Path("/run").iterdir()}
        return found

    def left(self):
        """What was not there at the beginning; the kernel gets some time to end processes."""
        deadline = time.monotonic() + self.patience
        while new := self.present() - self.before - self.tolerated:
            if time.monotonic() > deadline:
                return sorted(f"left: {line}" for line in new)
            time.sleep(0.005)
        return []

    def outside(self):
        """All that can be seen of the files outside, and of the machine's settings."""
        found = []
        for path in sorted([OUTSIDE, *OUTSIDE.rglob("*")]):
            status = os.lstat(path)
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found.append((str(path), status.st_mode, status.st_uid, status.st_gid, content))
        for path in HOST_FILES:
            if os.path.exists(path):
                found.append((path, pathlib.Path(path).read_bytes()))
        null = os.stat("/dev/null")
        found.append(("/dev/null", null.st_mode, null.st_uid, null.st_gid))
        return found

    def changed_outside(self):
        now = self.outside()
        if now == self.signature:
            return []
        different = [item for item in now if item not in self.signature] or [item for item in self.signature if item not in now]
        return [f"changed outside of the container: {item}" for item in different]

    def cleanse(self):
        """Removes what is left, so that the next case begins as this one did."""
        for folder in STATE.iterdir() if STATE.is_dir() else ():
            if folder.is_dir() and not folder.is_symlink():
                self.call("delete", "--force", folder.name)
        for _ in range(200):
            for target, _, _ in sandbox.hierarchies():
                for path, _, _ in os.walk(target, topdown=False):
                    if f"cgroup {path}" not in self.before:
                        for name, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                            if os.path.exists(f"{path}/{name}"):
                                sandbox.write(pathlib.Path(path, name), text)
                        try:
                            os.rmdir(path)
                        except OSError:
                            pass
            for pid, words in self.processes().items():
                if f"process {pid} {words}" not in self.before:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            if not [line for line in self.present() - self.before if line.startswith(("process", "cgroup"))]:
                break
            time.sleep(0.01)
        for line in sorted(self.present() - self.before, reverse=True):
            kind, _, rest = line.partition(" ")
            if kind == "mount":
                subprocess.run(["umount", "-l", rest.partition(" on ")[2]], stderr=subprocess.DEVNULL)
        for line in self.present() - self.before:
            kind, _, rest = line.partition(" ")
            if kind in ("state", "file"):
                remove(rest)
        remove(OUTSIDE)
        OUTSIDE.mkdir()
        (OUTSIDE / "file").write_text(CANARY)
        (OUTSIDE / "deep").mkdir()
        (OUTSIDE / "deep/file").write_text(CANARY)

    def finish(self, outside=True):
        """The rules that hold when a case is over; `outside`: the case named no file outside of its bundle."""
        faults = self.left()
        if outside:
            faults += self.changed_outside()
        if faults or not outside or self.present() - self.before:
            self.cleanse()
        for path in CWD.iterdir():
            remove(path)
        return faults

    def delete(self, name="box"):
        """delete --force, which must work whatever has happened before."""
        done = self.call("delete", "--force", name)
        faults = self.judge(done)
        if done.status and not faults:
            faults = [f"{done.told}: status {done.status}: {done.err[:600].decode('utf-8', 'backslashreplace').strip()}"]
        return faults


def error_faults(done):
    """What is wrong with the message of a failed call."""
    lines = [line for line in done.err.split(b"\n") if line]
    errors = [line for line in lines if b"level=error" in line]
    if not lines:
        # validate and audit tell what they found on standard output.
        told = done.out and done.words[0] in ("validate", "audit", "doctor")
        return [] if told else [f"failed with status {done.status} without a word"]
    # The chart of --timings comes before the error.
    others = [] if "--timings" in done.words else [line for line in lines if b"level=" not in line]
    if len(errors) != 1 or others:
        return [f"told an error in {len(errors)} lines and {len(others)} others"]
    message = re.search(rb'msg="((?:[^"\\]|\\.)*)"', errors[0])
    message = message[1].split(b"failed: ", 1)[-1] if message else b""
    if len(message.split()) < 3 and b":" not in message:
        return ["told an error that names nothing"]
    return []
