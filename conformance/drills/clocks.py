# SPDX-License-Identifier: Apache-2.0
"""Clocks jump. No clock of the machine is changed: strace gives the runtime other answers of clock_gettime(2).

The runtime calls the kernel for the time and not the vDSO, or strace would not see it; that the answers arrive is shown
by the times of a state and of an error. Only CLOCK_REALTIME jumps, as clocks do. Then a container that was created at
any time is managed as usual; a limit of time is neither over too early nor never; and the times of a launch are no
nonsense.

The start time of a process, by which init is known, is counted from boot and follows no jump of the wall clock. It does
follow the time namespace of who reads it: so commands also run in one whose boot time differs.

Not shown: a jump that the kernel sees itself (timers, the times of files), or that reaches the container's own init,
which is not traced; the boot-time clock after a suspend of the machine.
"""

import datetime
import json
import os
import re
import signal
import struct
import subprocess

from deeds import config, ready, status_of
from ground import CWD, OUTPUT, STATE
from kills import afterwards

# The first and the last second that a Linux clock can be set to, the end of 32 bits, signed and not, and a year ago.
TIMES = [0, 1, 946684800, 2**31 - 1, 2**31, 2**32, 8277292035]
LAUNCHES = {"create": (["create", "--bundle", "/run/s/bundle"], None), "start": (["start"], "created"),
            "run --detach": (["run", "--detach", "--bundle", "/run/s/bundle"], None), "exec": (["exec"], "running")}
TRACE = CWD / "spans"
# A command in a time namespace whose boot was so many seconds earlier.
OTHER_BOOT = ["unshare", "--time", "--fork", "--kill-child", "--boottime"]


def at(seconds, when="1+"):
    """Words before a command that sees this time at its calls of clock_gettime number `when`."""
    answer = struct.pack("<qq", seconds, 0).hex()
    return ["strace", "-o", "/dev/null", "-e", "trace=clock_gettime",
            "-e", f"inject=clock_gettime:poke_exit=@arg2={answer}:when={when}"]


def words_of(name, *flags):
    words, status = LAUNCHES[name]
    return [words[0], *flags, *words[1:], "box", *(["true"] if name == "exec" else [])], status


class Clocks:
    def __init__(self, _):
        self.calls = {}

    def prepare(self, site):
        self.site = site

    def cases(self):
        for created in TIMES:
            for seen in (TIMES[0], TIMES[-1]):
                yield {"what": "manage", "created": created, "seen": seen}
        for name in LAUNCHES:
            for seconds in (TIMES[0], TIMES[-1]):
                for number in self.points(name):
                    yield {"what": "launch", "command": name, "call": number, "to": seconds}
        for name in LAUNCHES:
            for seconds in (TIMES[0], TIMES[-1]):
                yield {"what": "limit", "command": name, "to": seconds}
        for seconds in (TIMES[0], TIMES[-1]):
            yield {"what": "late", "to": seconds}
        for inside in ("create", "later commands", "timeOffsets"):
            for seconds in (60, 100_000):
                yield {"what": "boot", "inside": inside, "seconds": seconds}

    def points(self, name):
        """Some of the calls that ask for the wall clock: the first ones, the last ones, and some between."""
        found = [number for number, clock in self.clocks(name, "--timings") if clock == "CLOCK_REALTIME"]
        return sorted({*found[:3], *found[3:-2:20], *found[-2:]})

    def clocks(self, name, *flags):
        """Number and clock of each call of an undisturbed launch."""
        if (name, flags) not in self.calls:
            words, status = words_of(name, *flags)
            ready(self.site, status)
            self.site.call(*words, before=["strace", "-o", OUTPUT / "trace", "-e", "trace=clock_gettime"])
            asked = re.findall(r"^clock_gettime\((\w+)", (OUTPUT / "trace").read_text(), re.M)
            self.calls[name, flags] = list(enumerate(asked, 1))
            self.site.delete()
            self.site.finish()
        return self.calls[name, flags]

    def judge(self, site, case):
        faults = getattr(self, case["what"])(site, case)
        return faults + afterwards(site)

    def expect(self, site, words, *, status=0, before=()):
        done = site.call(*words, before=before)
        told = done.err.decode(errors="replace").strip()
        other = [] if done.status == status else [f"{done.told}: {done.status}: {told}"]
        return done, site.judge(done, one_line=status != 0) + other

    def manage(self, site, case):
        """A container of another time, seen at a third one."""
        site.make_bundle(config())
        _, faults = self.expect(site, words_of("create")[0], before=at(case["created"]))
        if faults:
            return faults
        seen = at(case["seen"])
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=case["created"])
        expected = moment.strftime("%Y-%m-%dT%H:%M:%S")
        for step, status in ((None, "created"), (["start", "box"], "running"), (["kill", "box", "KILL"], None)):
            if step:
                faults += self.expect(site, step, before=seen)[1]
            for before in ((), seen) if status else ():
                done, found = self.expect(site, ["state", "box"], before=before)
                faults += found
                told = json.loads(done.out or b"{}")
                if told.get("status") != status or not told.get("created", "").startswith(expected):
                    faults.append(f"created at {expected} and {status}: state says {told}")
                done, found = self.expect(site, ["list"], before=before)
                faults += found
                if expected.encode() not in done.out or status.encode() not in done.out:
                    faults.append(f"created at {expected} and {status}: list says {done.out!r}")
        faults += self.expect(site, ["ps", "nobody"], status=1, before=seen)[1]
        if f'time="{1970 if case["seen"] == 0 else 2232}-' not in (OUTPUT / "err").read_text():
            faults.append("the error has another time: the jump did not arrive")
        return faults + self.expect(site, ["delete", "--force", "box"], before=seen)[1] + site.left()

    def launch(self, site, case):
        """The clock jumps while a launch is timed, at one call, and stays there."""
        words, status = words_of(case["command"], "--timings", "--trace", str(TRACE))
        if faults := ready(site, status):
            return faults
        done, faults = self.expect(site, words, before=at(case["to"], f"{case['call']}+"))
        if faults:
            return faults
        times = [int(time) for time in re.findall(r'TimeUnixNano":"(-?\d+)"', TRACE.read_text())]
        try:
            for line in TRACE.read_text().splitlines():
                json.loads(line)
        except ValueError as error:
            faults.append(f"the spans are no JSON: {error}")
        if not times or min(times) < 0:
            faults.append(f"the spans have the times {times[:6]}")
        pairs = re.findall(r'"startTimeUnixNano":"(-?\d+)","endTimeUnixNano":"(-?\d+)"', TRACE.read_text())
        if backward := [pair for pair in pairs if int(pair[0]) > int(pair[1])]:
            faults.append(f"{len(backward)} of {len(pairs)} spans end before they begin: {backward[0]}")
        if re.search(r"(?<!\d)-\d", done.err.decode(errors="replace").split(" ms")[0]):
            faults.append(f"a time is negative: {done.err[:300]!r}")
        return faults

    def limit(self, site, case):
        """--timeout is not over because the wall clock jumps."""
        words, status = words_of(case["command"], "--timeout", "15s")
        clocks = self.clocks(case["command"], "--timeout", "15s")
        faults = []
        if "CLOCK_MONOTONIC" not in {clock for _, clock in clocks}:
            faults.append(f"{words}: asks {clocks}: no clock that does not jump")
        # One call at a time: the answers for the other clock stay as they are.
        for number in [number for number, clock in clocks if clock == "CLOCK_REALTIME"]:
            faults += ready(site, status)
            faults += self.expect(site, words, before=at(case["to"], str(number)))[1]
            faults += site.delete() + site.left()
            site.finish()
        return faults

    def late(self, site, case):
        """--timeout is over although the wall clock jumps: a hook sleeps for too long."""
        made = config()
        made["hooks"] = {"createRuntime": [{"path": str(site.busybox), "args": ["sleep", "100"]}]}
        site.make_bundle(made)
        words = ["create", "--timeout", "300ms", "--bundle", "/run/s/bundle", "box"]
        clocks = site.call(*words, before=["strace", "-o", OUTPUT / "trace", "-e", "trace=clock_gettime"])
        asked = re.findall(r"^clock_gettime\((\w+)", (OUTPUT / "trace").read_text(), re.M)
        faults = site.judge(clocks)
        for number in [number for number, clock in enumerate(asked, 1) if clock == "CLOCK_REALTIME"]:
            done, found = self.expect(site, words, status=1, before=at(case["to"], str(number)))
            faults += found + site.left()
            if b"timeout of 300ms" not in done.err:
                faults.append(f"{done.told}: {done.err!r}")
        site.make_bundle(config())
        return faults

    def boot(self, site, case):
        """Who manages a container has another boot time than who made it."""
        inside, other = case["inside"], [*OTHER_BOOT, str(case["seconds"])]
        made = config()
        if inside == "timeOffsets":
            # The container's own boot time is another; the commands' is the same.
            made["linux"]["namespaces"].append({"type": "time"})
            made["linux"]["timeOffsets"] = {clock: {"secs": case["seconds"]} for clock in ("boottime", "monotonic")}
        site.make_bundle(made)
        first, later = {"create": (other, ()), "later commands": ((), other), "timeOffsets": ((), ())}[inside]
        faults = self.expect(site, ["create", "--bundle", "/run/s/bundle", "box"], before=first)[1]
        pid = json.loads((STATE / "box/state.json").read_text())["pid"]
        done = site.call("state", "box", before=later)
        now = json.loads(done.out)["status"] if done.status == 0 else done.err
        if now != "created":
            # Deletion would wait for a cgroup in which init lives on.
            os.kill(pid, signal.SIGKILL)
            return [*faults, f"the container is created, and state says {now}"]
        faults += self.expect(site, ["start", "box"], before=later)[1]
        done = site.call("delete", "box", before=later)
        if done.status == 0 and pid in site.processes():
            faults.append("delete without --force has removed a container that runs; its init goes on")
        if done.status == 0 or status_of(site) not in ("running", None):
            faults.append(f"after delete without --force, which ended with {done.status}: {status_of(site)}")
        site.call("delete", "--force", "box", before=later)
        return faults + site.left()

    def sum_up(self):
        missing = [name for name in LAUNCHES if not self.points(name)]
        works = subprocess.run([*OTHER_BOOT, "5", "true"]).returncode == 0
        faults = [f"{missing} ask for no time: nothing is shown"] if missing else []
        return faults + ([] if works else ["no time namespaces here"])

    @property
    def told(self):
        return ["asked for the time: " + ", ".join(
            f"{name} {' '.join(flags)} {len(calls)} times" for (name, flags), calls in self.calls.items())]
