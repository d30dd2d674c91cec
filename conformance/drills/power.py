# SPDX-License-Identifier: Apache-2.0
"""The power fails at each write to the directory of the states, and the machine boots with what is on the disk.

Each command is traced for the calls that change something in that directory. It is killed before each of these calls;
the directory as it is then, and after the command, is what the disk keeps. The machine boots: no process, mount or
cgroup of before is there, and where the record names a process, another program has its number. Also, what was not on
the disk yet: each file empty, cut in the middle, or missing, one at a time.

Then `list`, `state`, `start`, `exec`, `create` with the same id, and `delete --force` give a right answer or a clear
error; none says that the container lives; the other program is not killed; and after `delete --force` the directory is
empty and the id is free. What init writes into its progress page is no call, and is seen only by the damages.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import time

from deeds import COMMANDS, config, ready
from ground import BUNDLE, OUTPUT, STATE, make_special, remove

DISK = OUTPUT / "disk"
CHOSEN = ("create", "run --detach", "start", "pause", "resume", "update", "delete", "delete --force")
CHANGING = ("mkdirat", "openat", "write", "pwrite64", "renameat2", "unlinkat", "bind", "fchmod", "fchmodat",
            "ftruncate", "fallocate", "linkat", "symlinkat", "fsync", "fdatasync")
# The files of one that was only created, of one that runs, and of one whose config has changed.
DAMAGED = ("create", "run --detach", "update")
DAMAGES = ("empty", "half", "missing")
# What may be said of a container whose machine has booted since; none of these can be started or entered.
DEAD = {"stopped", "creating"}


class Power:
    def __init__(self, options):
        self.most = options.points
        self.answers = {}
        self.points_of = {}
        self.decoys = 0

    def prepare(self, site):
        self.site = site

    def cases(self):
        for name in CHOSEN:
            points = self.points(name)
            self.points_of[name] = len(points)
            step = max(1, -(-len(points) // self.most)) if self.most else 1
            for call, number in points[::step]:
                yield {"command": name, "before": call, "number": number}
            yield {"command": name, "before": None}
            for file in self.files(name) if name in DAMAGED else ():
                for damage in DAMAGES:
                    yield {"command": name, "before": None, "file": file, "damage": damage}
        # What one write has begun is not on the disk, although the calls after it are.
        for call, number in self.points("create"):
            if call == "renameat2":
                for file in (".state.json", "state.json", "config.json", "progress"):
                    for damage in DAMAGES:
                        yield {"command": "create", "before": call, "number": number, "file": file, "damage": damage}

    def points(self, name):
        """Calls of an undisturbed command that change the directory, each with its number among those of its name."""
        words, status = COMMANDS[name]
        # The first container also makes the cgroups above it, with calls that later ones do not need.
        ready(self.site, "created")
        self.reboot()
        ready(self.site, status)
        trace = OUTPUT / "trace"
        self.site.call(*words, before=["strace", "-y", "-o", trace, "-e", f"trace={','.join(CHANGING)}"])
        counts, points = {}, []
        for line in trace.read_text(errors="replace").splitlines():
            if found := re.match(r"(\w+)\((.*)", line):
                call, rest = found.groups()
                counts[call] = counts.get(call, 0) + 1
                opens = call == "openat" and "O_CREAT" not in rest and "O_TRUNC" not in rest
                # A socket is bound by its path below /proc/self/fd.
                if not opens and (str(STATE) in rest or call in ("bind", "fchmod") and "/start" in rest):
                    points.append((call, counts[call]))
        self.reboot()
        return points

    def files(self, name):
        """The files that a command leaves in the container's directory."""
        ready(self.site, COMMANDS[name][1])
        self.site.call(*COMMANDS[name][0])
        found = sorted(path.name for path in STATE.glob("box/*"))
        self.reboot()
        return found

    def judge(self, site, case):
        words, status = COMMANDS[case["command"]]
        if faults := ready(site, status):
            self.reboot()
            return faults
        before = ["strace", "-o", "/dev/null", "-e", f"trace={case['before']}", "-e",
                  f"inject={case['before']}:signal=KILL:when={case['number']}"] if case["before"] else []
        done = site.call(*words, before=before)
        if case["before"] and done.status != -signal.SIGKILL or not case["before"] and done.status:
            faults = [f"{done.told}: ended with {done.status}, not at the chosen call: {done.err!r}"]
        remove(DISK)
        copy(STATE, DISK)
        self.reboot()
        if case.get("damage") and not damage(DISK / "box" / case["file"], case["damage"]):
            return faults
        if not faults:
            faults = self.ask(site) + self.delete(site)
        self.reboot()
        return faults

    def reboot(self):
        """All that the commands have made is gone, but not what is on the disk."""
        self.site.cleanse()
        remove(STATE)
        self.site.left()

    def ask(self, site):
        """The machine has booted: who asks gets right answers, and one who creates the container again, too."""
        copy(DISK, STATE)
        decoy = self.decoy(site)
        faults = []
        listed = site.call("list", "--format", "json")
        faults += site.judge(listed, one_line=False)
        state = site.call("state", "box")
        faults += site.judge(state)
        told = status_told(state, faults)
        self.answers[told or "error"] = self.answers.get(told or "error", 0) + 1
        if told and told not in DEAD:
            faults.append(f"after a boot, state says {told}")
        entries = {}
        try:
            entries = {entry["id"]: entry["status"] for entry in json.loads(listed.out or b"null") or ()}
        except (ValueError, TypeError, KeyError):
            faults.append(f"list: status {listed.status}, no JSON: {listed.out[:200]!r}")
        if told != entries.get("box") and not (told is None and entries.get("box") in DEAD):
            faults.append(f"state says {told}, and list {entries.get('box')}: {listed.err!r}")
        for words in (["start", "box"], ["exec", "box", "true"]):
            done = site.call(*words)
            faults += site.judge(done) + ([] if done.status else [f"after a boot, {words[0]} succeeds"])
        made = site.call("create", "--bundle", BUNDLE, "box")
        faults += site.judge(made)
        if made.status == 0 and told:
            faults.append(f"state says {told}, and create makes another in its place")
        if made.status == 0:
            started = site.call("start", "box")
            faults += site.judge(started)
            faults += [f"created anew, and start says {started.err!r}"] if started.status else []
        return faults + self.survives(decoy) + site.delete() + self.empty()

    def delete(self, site):
        """The machine has booted, and the first command is delete --force; then the id is free."""
        self.reboot()
        copy(DISK, STATE)
        decoy = self.decoy(site)
        there = any(STATE.iterdir())
        done = site.call("delete", "--force", "box")
        faults = site.judge(done)
        if done.status and there:
            faults.append(f"{done.told}: status {done.status}: {done.err.decode(errors='replace').strip()}")
        faults += self.empty() + self.survives(decoy)
        site.make_bundle(config())
        made = site.call("create", "--bundle", BUNDLE, "box")
        if made.status:
            faults.append(f"the id is not free again: {made.err!r}")
        return faults + site.delete() + self.empty()

    def empty(self):
        return [f"delete --force leaves {path}" for path in STATE.rglob("*")] + self.site.left()

    def decoy(self, site):
        """Another program, whose process has the number of the recorded init."""
        try:
            pid = json.loads((STATE / "box/state.json").read_text())["pid"]
            if pid <= 1:
                return None
            pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        child = subprocess.Popen(["sleep", "4321"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 start_new_session=True)
        site.helpers.add(child.pid)
        self.decoys += child.pid == pid
        return child

    def survives(self, decoy):
        if not decoy:
            return []
        time.sleep(0.002)
        killed = decoy.poll() is not None
        decoy.kill()
        decoy.wait()
        self.site.helpers.discard(decoy.pid)
        return [f"another program with the number of init, {decoy.pid}, was killed"] * killed

    def sum_up(self):
        faults = [f"{name}: no call changes the directory: nothing is shown" for name in ("create", "update", "delete")
                  if not self.points_of.get(name)]
        if not self.decoys:
            faults.append("no program had the number of an init: nothing is shown")
        return faults

    @property
    def told(self):
        points = ", ".join(f"{name} {count}" for name, count in self.points_of.items())
        return [f"calls that change the directory: {points}",
                "state said: " + ", ".join(f"{answer} {count}" for answer, count in sorted(self.answers.items()))
                + f"; {self.decoys} programs had the number of an init"]


def status_told(done, faults):
    if done.status:
        return None
    try:
        return json.loads(done.out)["status"]
    except (ValueError, KeyError, TypeError):
        faults.append(f"state succeeds and says {done.out[:200]!r}")
        return None


def copy(source, target):
    """A tree with its modes; a socket becomes one that nobody listens on, as after a boot."""
    target.mkdir(mode=0o700, exist_ok=True)
    for path in sorted(source.rglob("*")) if source.exists() else ():
        made, mode = target / path.relative_to(source), os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            made.mkdir(exist_ok=True)
        elif stat.S_ISSOCK(mode):
            os.mknod(made, mode)
        elif stat.S_ISREG(mode):
            shutil.copy(path, made)
        else:
            make_special(made, "fifo")
        made.chmod(stat.S_IMODE(mode))


def damage(path, kind):
    """Whether the file was there and has changed."""
    if not path.is_file():
        if path.exists() and kind == "missing":
            remove(path)
            return True
        return False
    if kind == "missing":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2 if kind == "half" else 0)
    return True
