# SPDX-License-Identifier: Apache-2.0
"""Many containers, one after the other, leave nothing that grows: not on the disk, not in the kernel.

A cycle is `create`, `start`, `exec`, `delete --force`, or, each other time, `run` in the foreground; with a plain
config, one with much in it, or one with a user namespace, and with 50 ids by turns. Levels are read 21 times, when what
the kernel removes later has settled; the lowest of the last quarter must not be above the lowest of the first one by
more than a share of the cycles, so that a leak of one in ten cycles is found, if there are enough cycles (SLACK). The
lowest, since others raise levels of the whole machine for a while; such a level counts only if it has grown in a second
series as well. Processes, mounts, cgroups, states and files of the sandbox must be the same as before.

The memory of a program that embeds the library is not looked at here: StressTests does.
"""

import os
import pathlib
import resource
import statistics
import time

import ground
import sandbox
from ground import BUNDLE, PLACE

SAMPLES = 20
IDS = 50
# Of a thing in each cycle: three quarters of one in ten are between the quarters, and some of that may be hidden.
LEAK = 0.05
KERNEL_BYTES = 400  # What one thing in the kernel takes, about.
SLABS = ("mnt_cache", "pid_namespace", "net_namespace", "user_namespace", "task_struct", "filp")
# What may be more at the end in any case. A slab counts the objects of half-empty pages of each CPU, too.
SLACK = {"dentries": 3000, "kernel memory": 1 << 20, "slab": 200, "file handles": 256, "keys": 8, "cgroups": 16}
LEVELS_OF_MACHINE = ("cgroups", "keys", "file handles", "dentries", "slab", "cpu")
SLOWER = 2  # So many times the time of a CPU for a cycle; less may be due to what else the machine does.


def first_number(path, index=0):
    try:
        return int(pathlib.Path(path).read_text().split()[index])
    except (OSError, ValueError, IndexError):
        return None


class Cycles:
    def __init__(self, options):
        self.count = options.cycles
        self.series = {}
        self.seconds, self.cpu, self.pids = [], [], []

    def prepare(self, site):
        self.site = site
        self.bundles = []
        for number, made in enumerate((ground.base(), ground.wide(), ground.mapped())):
            made["process"]["args"] = ["sh", "-c", "echo x >/tmp/x 2>/dev/null; exec sleep 1000"]
            short = made | {"process": made["process"] | {"args": ["true"]}}
            for kind, config in (("long", made), ("short", short)):
                site.make_bundle(config)
                bundle = PLACE / f"{kind}-{number}"
                os.rename(BUNDLE, bundle)
                self.bundles.append(bundle)
        site.before |= site.present()

    def cases(self):
        yield {"cycles": self.count}

    def command(self, *words):
        """Without the files and waits of Ground.call: the time of 100,000 cycles counts."""
        command = [self.site.runtime, "--root", str(ground.STATE), *map(str, words)]
        null, error = (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0), (
            os.POSIX_SPAWN_OPEN, 2, str(ground.OUTPUT / "err"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=[null, error])
        self.site.calls += 1
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            said = (ground.OUTPUT / "err").read_text(errors="replace").strip()
            return [f"{' '.join(map(str, words))}: status {status}: {said[:400]}"]
        return []

    def cycle(self, number):
        name = f"box-{number % IDS}"
        bundle = self.bundles[number % len(self.bundles)]
        if bundle.name.startswith("short"):
            return self.command("run", "--bundle", bundle, name)
        return (self.command("create", "--bundle", bundle, name) or self.command("start", name)
                or self.command("exec", name, "true") or self.command("delete", "--force", name))

    def judge(self, site, case):
        for attempt in range(2):
            self.series, self.seconds, self.cpu, self.pids = {}, [], [], []
            if faults := self.run():
                for number in range(IDS):
                    site.call("delete", "--force", f"box-{number}")
                return faults + site.finish()
            faults = [*site.left(), *site.changed_outside(), *self.rates()]
            grown = self.grown()
            faults += [text for name, text in grown.items() if not name.startswith(LEVELS_OF_MACHINE)]
            if faults or not grown:
                return faults + (site.finish() if faults else [])
        return list(grown.values())

    def run(self):
        """Runs the cycles, and reads the levels between; the first cycles make what stays once."""
        for number in range(IDS):
            if faults := self.cycle(number):
                return faults
        self.read()
        done = IDS
        for sample in range(1, SAMPLES + 1):
            self.tell(alive=done)
            began, last, cpu = time.monotonic(), self.count * sample // SAMPLES + IDS, children()
            pid = first_number("/proc/sys/kernel/ns_last_pid")
            for number in range(done, last):
                if faults := self.cycle(number):
                    return faults
            self.seconds.append((time.monotonic() - began) / (last - done))
            self.cpu.append((children() - cpu) / (last - done))
            used = first_number("/proc/sys/kernel/ns_last_pid") - pid
            # The numbers of processes begin anew at their end.
            if used > 0:
                self.pids.append(used / (last - done))
            done = last
            self.read()
        return []

    def read(self):
        levels = self.levels()
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            # Namespaces and cgroups are taken down by threads of the kernel.
            time.sleep(0.05)
            now = self.levels()
            settled = all(now[name] >= level for name, level in levels.items())
            levels = {name: min(level, now[name]) for name, level in levels.items()}
            if settled:
                break
        for name, level in levels.items():
            self.series.setdefault(name, []).append(level)

    def levels(self):
        found = {
            "dentries": first_number("/proc/sys/fs/dentry-state") - first_number("/proc/sys/fs/dentry-state", 1),
            "file handles": first_number("/proc/sys/fs/file-nr"),
            "keys": sum(int(line.split()[2].split("/")[0]) for line in lines_of("/proc/key-users")),
            "processes": len(self.site.processes()),
            "mounts": len(lines_of("/proc/self/mountinfo")),
            "sockets": first_number("/proc/net/sockstat", 2),
            "files on /run": used_inodes("/run"),
            "memory of /run": used_blocks("/run"),
        }
        for line in lines_of("/proc/cgroups")[1:]:
            controller, hierarchy, count, _ = line.split()
            if hierarchy != "0":
                found[f"cgroups of {controller}"] = int(count)
        for target, kind, names in sandbox.hierarchies():
            found[f"own cgroups of {names or 'v2'}"] = sum(1 for _ in os.walk(target))
            if kind == "cgroup2":
                for line in lines_of(target / "cgroup.stat"):
                    found[f"cgroup.stat {line.split()[0]}"] = int(line.split()[1])
            level = kernel_memory(target) if "memory" in names.split(",") or kind == "cgroup2" else None
            if level is not None:
                found["kernel memory"] = level
        try:
            for line in lines_of("/proc/slabinfo")[2:]:
                name, active = line.split()[:2]
                if name in SLABS:
                    found[f"slab {name}"] = int(active)
        except OSError:
            pass  # A kernel without it.
        return {name: level for name, level in found.items() if level is not None}

    def grown(self):
        """Levels that are higher in the last quarter than in the first one."""
        faults = {}
        for name, levels in self.series.items():
            quarter = max(2, len(levels) // 4)
            first, last = min(levels[:quarter]), min(levels[-quarter:])
            share = KERNEL_BYTES if name == "kernel memory" else 1
            slack = next((value for begin, value in SLACK.items() if name.startswith(begin)), 0)
            if last - first > max(slack, self.count * LEAK * share if slack else 0):
                faults[name] = f"{name}: from {first:g} to {last:g} in {self.count} cycles: {levels}"
        first, last = statistics.median(self.cpu[:3]), statistics.median(self.cpu[-3:])
        if last > first * SLOWER:
            faults["cpu"] = f"a cycle takes {first * 1000:.1f} ms of a CPU at first, and {last * 1000:.1f} later"
        return faults

    def rates(self):
        """A cycle needs as many process numbers at the end as at the beginning: else something counts on."""
        if len(self.pids) < 4:
            return []
        first, last = statistics.median(self.pids[:2]), statistics.median(self.pids[-2:])
        grows = last > first * 1.1 + 0.5
        return [f"a cycle uses {first:.2f} process numbers at first, and {last:.2f} later"] if grows else []

    def sum_up(self):
        known = {name: len(self.series.get(name, ())) for name in ("dentries", "keys", "mounts", "processes")}
        return [f"read too seldom: {known}"] if set(known.values()) != {SAMPLES + 1} else []

    @property
    def told(self):
        shown = [f"{name} {levels[0]} to {levels[-1]}" for name, levels in self.series.items() if len(set(levels)) > 1]
        shown.append(f"{len(self.series) - len(shown)} levels have always been the same")
        if not self.seconds:
            return []
        whole, cpu = ([statistics.median(part) * 1000 for part in (of[:3], of[-3:])] for of in (self.seconds, self.cpu))
        lines = [f"{self.count} cycles; at first and at last, each took {whole[0]:.1f} and {whole[1]:.1f} ms, "
                 f"{cpu[0]:.1f} and {cpu[1]:.1f} ms of a CPU; {statistics.median(self.pids or [0]):.1f} process "
                 "numbers each"]
        return lines + [", ".join(shown[at:at + 6]) for at in range(0, len(shown), 6)]


def lines_of(path):
    return pathlib.Path(path).read_text().splitlines()


def children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def used_inodes(path):
    status = os.statvfs(path)
    return status.f_files - status.f_ffree


def used_blocks(path):
    status = os.statvfs(path)
    return status.f_blocks - status.f_bfree


def kernel_memory(target):
    """Bytes of the kernel that are charged to the sandbox, also by cgroups that are gone."""
    level = first_number(target / "memory.kmem.usage_in_bytes")
    if level is None and (target / "memory.stat").exists():
        for line in lines_of(target / "memory.stat"):
            if line.startswith("kernel "):
                level = int(line.split()[1])
    return level
