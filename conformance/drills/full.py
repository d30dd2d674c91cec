# SPDX-License-Identifier: Apache-2.0
"""The directory of the states is on a full or read-only file system.

A tmpfs is filled to the last block, or to the last inode; then one more is left free in each case, until the command
succeeds. What makes a container fails with one line that names the file, and leaves nothing. What only reads, and what
ends and removes, works without any space. On a read-only file system, state, list, ps and kill work, and the others
fail clearly; when it is writable again, everything goes on. Also: a standard output that is full is an error.
"""

import os
import subprocess

from deeds import COMMANDS, deed, names_a_file, ready, unharmed
from ground import BUNDLE, PLACE, STATE, remove
from kills import afterwards

DISK = PLACE / "disk"
FILLER, FILLERS, FRESH, PID_FILE = DISK / "filler", DISK / "fillers", DISK / "above/fresh", DISK / "pid"
BLOCK = 4096
# What an operator needs when a disk is full; they must work without a free block or inode.
NEEDS_NOTHING = {"state", "list", "ps", "kill", "delete", "delete --force", "pause", "resume", "start", "exec"}
WORKS_READ_ONLY = {"state", "list", "ps", "kill"}
WITH_PID_FILE = [*COMMANDS["create"][0][:-1], "--pid-file", str(PID_FILE), "box"]


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


class Full:
    def __init__(self, options):
        self.most = options.free
        self.succeeded = False
        self.needed = {}

    def prepare(self, site):
        self.site = site
        for folder in (DISK, STATE):
            folder.mkdir()
        mount("-t", "tmpfs", "-o", f"mode=755,size={256 * BLOCK},nr_inodes=64", "none", DISK)
        (DISK / "root").mkdir(mode=0o700)
        mount("--bind", DISK / "root", STATE)
        site.before |= site.present()

    def cases(self):
        for kind in ("blocks", "inodes"):
            for name in [*COMMANDS, "create --pid-file", "create, first of all"]:
                for free in range(self.most + 1):
                    yield {"command": name, "kind": kind, "free": free}
                    if self.succeeded:
                        self.needed[name, kind] = free
                        break
        for name in COMMANDS:
            yield {"command": name, "kind": "read-only"}
        for name in ("state", "list", "ps"):
            yield {"command": name, "kind": "output"}

    def judge(self, site, case):
        name, kind = case["command"], case["kind"]
        if name == "create, first of all":
            return self.first(site, case)
        words, status = (WITH_PID_FILE, None) if name == "create --pid-file" else COMMANDS[name]
        if faults := ready(site, status):
            return faults + afterwards(site)
        before = [site.busybox, "sh", "-c", 'exec "$@" >/dev/full', "sh"] if kind == "output" else []
        self.lack(kind, case.get("free"))
        try:
            done = site.call(*words, before=before)
            self.succeeded = done.status == 0
            faults = site.judge(done)
            if kind == "output":
                faults += [] if done.status == 1 else [f"{done.told}: status {done.status} with a full standard output"]
            elif self.succeeded:
                faults += deed(site, "create" if name == "create --pid-file" else name, done)
            elif not faults:
                faults = self.refused(site, name, kind, status, done)
        finally:
            self.relieve(kind)
        remove(PID_FILE)
        return faults + afterwards(site)

    def refused(self, site, name, kind, status, done):
        """What is wrong with a command that has failed."""
        needless = WORKS_READ_ONLY if kind == "read-only" else NEEDS_NOTHING
        if name in needless:
            return [f"{done.told}: needs no space and fails: {done.err.decode(errors='replace').strip()}"]
        faults = names_a_file(done, "no space left on device", "read-only file system")
        if status is None:
            faults += site.left() + (["the pid file is left"] if PID_FILE.exists() else [])
        else:
            faults += unharmed(site, name, status)
        return faults

    def first(self, site, case):
        """The directory of the states, and the one above, are not there yet."""
        site.make_bundle()
        ready(site, None)
        words = ["--root", FRESH]
        self.lack(case["kind"], case["free"])
        try:
            done = site.call(*words, "create", "--bundle", BUNDLE, "box", globals=False)
            self.succeeded = done.status == 0
            faults = site.judge(done)
            if done.status and not faults:
                faults = names_a_file(done, "no space left on device") + site.left()
                faults += [f"left: {path}" for path in FRESH.glob("*")]
        finally:
            self.relieve(case["kind"])
        deleted = site.call(*words, "delete", "--force", "box", globals=False)
        faults += site.judge(deleted) + [f"left: {path}" for path in FRESH.glob("*")] + site.finish()
        remove(FRESH.parent)
        return faults

    def lack(self, kind, free):
        if kind == "read-only":
            # A mount of its own: the other one has writers, the inits with their progress pages.
            mount("--bind", STATE, STATE)
            mount("-o", "remount,bind,ro", STATE)
            self.site.before |= {line for line in self.site.present() if line.startswith("mount ")}
        elif kind == "blocks":
            self.fill_blocks(free)
        elif kind == "inodes":
            FILLERS.mkdir()
            for number in range(os.statvfs(DISK).f_ffree - free):
                (FILLERS / str(number)).touch()
            if os.statvfs(DISK).f_ffree != free:
                raise RuntimeError(f"{os.statvfs(DISK).f_ffree} inodes are free, not {free}")

    def fill_blocks(self, free):
        FILLER.write_bytes(bytes((os.statvfs(DISK).f_bfree - free) * BLOCK))
        if os.statvfs(DISK).f_bfree != free:
            raise RuntimeError(f"{os.statvfs(DISK).f_bfree} blocks are free, not {free}")

    def relieve(self, kind):
        if kind == "read-only":
            subprocess.run(["umount", STATE], check=True)
        for path in (FILLER, FILLERS):
            remove(path)

    def sum_up(self):
        faults = []
        for kind in ("blocks", "inodes"):
            for name in ("create", "run --detach"):
                if not self.needed.get((name, kind)):
                    faults.append(f"{name} needs no {kind}, or more than {self.most}: nothing is shown")
        return faults

    @property
    def told(self):
        lines = []
        for kind in ("blocks", "inodes"):
            needs = [f"{name} {free}" for (name, other), free in self.needed.items() if other == kind and free]
            lines.append(f"{kind} needed: {', '.join(needs)}")
        return lines
