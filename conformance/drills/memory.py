# SPDX-License-Identifier: Apache-2.0
"""The runtime itself is out of memory: each command runs in a memory cgroup, from too small to enough.

The OOM killer may end it at any place, and system calls may fail for lack of memory. Then `delete --force` with enough
memory removes everything; a command that has succeeded has done what it says; one that only reads has changed nothing;
and a container that was there before goes on. The smallest limit with which a command succeeds is found by bisection;
the other limits are spread below and around it, where it comes some way.
"""

import pathlib
import signal
import time

import sandbox
from deeds import COMMANDS, deed, ready, unharmed
from kills import afterwards

LEAST, MOST = 64, 65536  # KiB: too little for any program of this size, and enough.
CHOSEN = ("create", "run --detach", "start", "exec", "state", "list", "kill", "delete", "delete --force")


class Memory:
    def __init__(self, options):
        self.steps = options.steps
        self.succeeded = False
        self.results = {name: {} for name in CHOSEN}

    def prepare(self, site):
        self.site = site
        places = [(target, kind) for target, kind, names in sandbox.hierarchies()
                  if "memory" in (names or (target / "cgroup.controllers").read_text()).replace(",", " ").split()]
        if not places:
            raise RuntimeError("no memory controller")
        target, kind = places[0]
        self.cgroup = target / "drill"
        self.limit_file = "memory.max" if kind == "cgroup2" else "memory.limit_in_bytes"
        site.before.add(f"cgroup {self.cgroup}")

    def cases(self):
        for name in CHOSEN:
            low, high, used = LEAST, MOST, 2
            for limit in (low, high):
                yield {"command": name, "kib": limit}
            while used < self.steps // 2:
                middle = int((low * high) ** 0.5)
                yield {"command": name, "kib": middle}
                low, high = (low, middle) if self.succeeded else (middle, high)
                used += 1
            for number in range(self.steps - used):
                share = number / max(1, self.steps - used - 1)
                yield {"command": name, "kib": int(high * (0.4 + 0.65 * share)) // 4 * 4}

    def judge(self, site, case):
        name = case["command"]
        words, status = COMMANDS[name]
        if faults := ready(site, status):
            return faults + afterwards(site)
        self.cgroup.mkdir()
        sandbox.write(self.cgroup / "memory.swap.max", "0")
        (self.cgroup / self.limit_file).write_text(f"{case['kib']}K")
        enter = [str(site.busybox), "sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(self.cgroup)]
        done = site.call(*words, before=enter)
        self.succeeded = done.status == 0
        killed = done.status == -signal.SIGKILL
        self.results[name][case["kib"]] = "done" if self.succeeded else "killed" if killed else "error"
        if self.succeeded:
            faults = site.judge(done) + deed(site, name, done)
        else:
            if not killed and not done.err.startswith(b"sh: "):
                faults = site.judge(done)
                if status is None and not faults:
                    faults = [f"after an error: {line}" for line in site.left()]
            if status is not None and not faults:
                faults = unharmed(site, name, status)
        faults += afterwards(site)
        return faults + self.remove()

    def remove(self):
        """Processes that are left in it are those that `afterwards` has named."""
        for _ in range(200):
            try:
                pathlib.Path(self.cgroup).rmdir()
                return []
            except FileNotFoundError:
                return []
            except OSError:
                time.sleep(0.01)
        sandbox.remove_cgroups([self.cgroup])
        return [f"something stays in the cgroup in which the runtime ran: {self.cgroup}"]

    def sum_up(self):
        faults = []
        for name, results in self.results.items():
            little, much = results.get(LEAST), results.get(MOST)
            if little in (None, "done") or much != "done":
                faults.append(f"{name}: {little} with {LEAST} KiB, {much} with {MOST} KiB: nothing is shown")
        return faults

    @property
    def told(self):
        lines = []
        for name, results in self.results.items():
            counts = {kind: list(results.values()).count(kind) for kind in ("killed", "error", "done")}
            least = min((limit for limit, kind in results.items() if kind == "done"), default=0)
            lines.append(f"{name}: {counts['killed']} killed, {counts['error']} errors, {counts['done']} done, "
                         f"at the least with {least} KiB")
        return lines
