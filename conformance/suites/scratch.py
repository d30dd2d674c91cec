# SPDX-License-Identifier: Apache-2.0
"""A folder for one run of a suite, and the removal of everything that the run left on the machine."""

import concurrent.futures
import ctypes
import os
import pathlib
import re
import subprocess
import tempfile

CLONE_NEWNS = 0x20000
MS_REC, MS_SLAVE = 0x4000, 0x80000
CGROUPS = pathlib.Path("/sys/fs/cgroup")


def cgroups():
    """All cgroups; if one is in several hierarchies, all its folders."""
    return {pathlib.Path(folder) for folder, _, _ in os.walk(CGROUPS)}


def three_at_once(function, items):
    """The results of a function, in the order of the items; an interruption starts no further one."""
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        try:
            return list(pool.map(function, items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class Scratch:
    """Use with `with`. New cgroups belong to a suite if their names match its pattern."""

    def __init__(self, cgroup_names):
        self.cgroup_names = re.compile(cgroup_names)

    def __enter__(self):
        # It contains sockets, whose paths must be short. Mapped users must be able to enter it.
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="conf-", dir="/tmp"))
        self.path.chmod(0o711)
        self.before = cgroups()
        self.null = os.stat("/dev/null")
        return self.path

    def __exit__(self, *_):
        # crun 1.8 changes its owner to the user of a process that has it as a stream.
        os.chown("/dev/null", self.null.st_uid, self.null.st_gid)
        new = sorted(cgroups() - self.before, reverse=True)
        for folder in new:
            below = folder.relative_to(CGROUPS)
            if any(self.cgroup_names.fullmatch(part) for part in below.parts):
                try:
                    folder.rmdir()
                except OSError:
                    pass
        # runc's suite makes folders for v1 controllers that are not mounted.
        for folder in new:
            if folder.parent == CGROUPS and plain(folder):
                remove(folder)
        remove(self.path)


def plain(folder):
    """Whether it is a folder on the tmpfs that contains the v1 hierarchies."""
    if (CGROUPS / "cgroup.controllers").exists() or not folder.exists():
        return False
    return folder.stat().st_dev == CGROUPS.stat().st_dev


def remove(folder):
    """Unmounts what tests left mounted below a folder, without deleting its contents, then deletes the folder."""
    with open("/proc/self/mountinfo") as file:
        targets = [line.split()[4] for line in file]
    for target in reversed(targets):
        if target.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", target], stderr=subprocess.DEVNULL)
    subprocess.run(["rm", "-rf", "--one-file-system", folder], stderr=subprocess.DEVNULL)


def leave_mounts():
    """Moves this program into a new mount namespace, so that mounts of tests vanish with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_SLAVE | MS_REC, None):
        raise OSError(ctypes.get_errno(), "unshare")
