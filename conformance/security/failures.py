# SPDX-License-Identifier: Apache-2.0
"""Each system call of the runtime fails once, or the runtime is killed at it, by strace's injection.

The call itself is not made then.
"""

import collections
import re
import shutil
import signal

import ground
from ground import BUNDLE, OUTPUT
from kills import COMMANDS, afterwards, config_named, prepare

OTHERS = {
    "run --detach and --pidfd": (["run", "--detach", "--no-pivot", "--no-new-keyring", "--bundle", str(BUNDLE), "box"], None),
    "exec true": (["exec", "box", "true"], "running"),
    "run true": (["run", "--bundle", str(BUNDLE), "box"], None),
    "state": (["state", "box"], "running"),
    "list": (["list"], "running"),
    "ps": (["ps", "box"], "running"),
    "resume": (["resume", "box"], "running"),
    "explain": (["explain", "--bundle", str(BUNDLE)], None),
    "validate": (["validate", "--bundle", str(BUNDLE)], None),
    "features": (["features"], None),
}
CALLS = {name: entry for name, entry in COMMANDS.items() if name not in ("run", "exec")} | OTHERS
# What starts the process and ends it, before and after there is anything to report an error; and memory, without which no
# program in a language with values on the heap goes on.
SPARED = {"execve", "exit_group", "exit", "brk", "mmap", "munmap", "mprotect", "madvise", "mremap", "arch_prctl", "rt_sigreturn",
          "set_tid_address", "set_robust_list", "rseq", "futex", "gettid", "getpid"}
ERRORS = ["EPERM", "EIO", "ENOMEM", "EINTR", "EAGAIN", "ENOSPC", "EMFILE", "EACCES", "ENOENT", "EINVAL", "EBUSY", "ENOSYS", "ESRCH"]
KILLED = "SIGKILL"
# These tell what others have done, and are believed: that a file is gone, a process has ended, a lock is held.
BELIEVED = {"ENOENT", "ESRCH", "EAGAIN"}
TELLING = {"openat", "openat2", "statx", "unlinkat", "readlink", "flock", "kill", "pidfd_open", "pidfd_send_signal", "waitid"}


def errors_of(call):
    return [error for error in ERRORS if not (call in TELLING and error in BELIEVED)]


class Failures:
    repeats = 3

    def __init__(self):
        self.points = {}

    def prepare(self, site):
        if not shutil.which("strace"):
            raise RuntimeError("strace is not here (apt-get install strace)")
        self.site = site

    def trace(self, name, config):
        """The calls of an undisturbed command, each with its number among those of its name."""
        if (name, config) in self.points:
            return self.points[name, config]
        site = self.site
        words, status = CALLS[name]
        prepare(site, self.config(name, config), status)
        trace = OUTPUT / "trace"
        site.call(*words, before=["strace", "-o", str(trace)])
        counts = collections.Counter()
        points = []
        for line in trace.read_text(errors="replace").splitlines():
            if found := re.match(r"(\w+)\((.*)", line):
                counts[found[1]] += 1
                # What goes to standard error is lost, and must be.
                if found[1] not in SPARED and not (found[1] == "write" and found[2].startswith("2,")):
                    points.append((found[1], counts[found[1]]))
        site.delete()
        site.finish()
        self.points[name, config] = points
        return points

    def config(self, name, config):
        made = config_named(config)
        if name == "run true":
            made["process"]["args"] = ["true"]
        return made

    def case(self, random):
        name, config = random.choice(list(CALLS)), random.choice(["base", "wide", "wide"])
        call, when = random.choice(self.trace(name, config))
        error = KILLED if random.random() < 0.3 else random.choice(errors_of(call))
        return {"command": name, "config": config, "call": call, "when": when, "error": error}

    def all_cases(self):
        for name, config in [(name, config) for name in CALLS for config in ("base", "wide")]:
            for at, (call, when) in enumerate(self.trace(name, config)):
                errors = errors_of(call)
                for error in (errors[at % len(errors)], KILLED):
                    yield {"command": name, "config": config, "call": call, "when": when, "error": error}

    def judge(self, site, case):
        words, status = CALLS[case["command"]]
        faults = prepare(site, self.config(case["command"], case["config"]), status)
        killed = case["error"] == KILLED
        before = ["strace", "-o", "/dev/null", "-e", f"trace={case['call']}",
                  "-e", f"inject={case['call']}:{'signal' if killed else 'error'}={case['error']}:when={case['when']}"]
        done = site.call(*words, before=before)
        if done.hung and case["call"] == "close":
            # The kernel closes a descriptor also where it reports an error: what waits for that waits for the injection alone.
            site.cleanse()
            return site.finish()
        if killed and done.status == -signal.SIGKILL:
            return faults + afterwards(site)
        # A line that was not written is no line.
        faults += site.judge(done, one_line=case["call"] != "write", own_status=False)
        if words[0] in ("create", "run") and done.status:
            # It has undone everything itself, but for the call that would have, if it is that one.
            faults += [f"{fault} (after status {done.status}: {done.err[:400].decode(errors='replace').strip()})"
                       for fault in site.left() if case["call"] not in UNDOING]
        return faults + afterwards(site)


# Calls that take something away: the one that fails has not done so, and `delete --force` must.
UNDOING = {"unlinkat", "unlink", "rmdir", "kill", "pidfd_send_signal", "umount2", "close"}

