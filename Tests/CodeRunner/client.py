# SPDX-License-Identifier: Apache-2.0
"""Starts the code runner and talks with it over HTTP; for its test and its benchmark."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import signal
import subprocess
import time

START = pathlib.Path(__file__).resolve().parent / "start"
# The root file system that `start` makes.
ROOTFS = START.parents[2] / ".build/code-runner/rootfs"
# A cgroup, and the state directory of a container, have the container's ID in their names.
PREFIX = "code-runner-"


class Service:
    """A service that was started by its one command, on a port of its own."""

    built = set()

    def __init__(self, state, *flags, configuration="debug"):
        self.state = pathlib.Path(state)
        self.process = subprocess.Popen(
            [str(START), "--port", "0", "--state", str(state), *map(str, flags)],
            env=os.environ | {"CONFIGURATION": configuration, "BUILD": "no" if configuration in self.built else ""},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        said = self.process.stdout.readline()
        if not said.startswith("listening on "):
            self.process.stdout.close()
            raise RuntimeError(f"the service did not start: status {self.process.wait()}")
        self.built.add(configuration)
        self.port = int(said.rpartition(":")[2])
        # Of the IDs of its containers.
        self.prefix = f"{PREFIX}{self.process.pid}-"

    def request(self, method, path, body=None):
        """Status, headers and decoded body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None
        finally:
            connection.close()

    def run(self, program, **members):
        """The verdict of a program that must get one."""
        status, _, answer = self.request("POST", "/run", json.dumps({"program": program, **members}))
        if status != 200:
            raise RuntimeError(f"status {status}: {answer}")
        return answer

    def run_together(self, jobs, in_flight):
        """Runs (program, input) pairs, so many at a time; seconds and verdict of each, in their order."""
        def timed(job):
            began = time.perf_counter()
            verdict = self.run(job[0], input=job[1])
            return time.perf_counter() - began, verdict

        with concurrent.futures.ThreadPoolExecutor(in_flight) as threads:
            return list(threads.map(timed, jobs))

    def hold_together(self, rootfs, in_flight):
        """Runs so many sandboxes at once, all of which are there before one may end.

        Each must answer with its own input. Returns the seconds, and how many cgroups and descriptors of the service
        there were meanwhile. `rootfs` is that of the programs, on the host.
        """
        name = f"go-{self.process.pid}"
        gate = pathlib.Path(rootfs) / name
        # The programs see the file of the host appear, which they cannot make.
        jobs = [(f"read word; while [ ! -e /{name} ]; do sleep 1; done; echo $word", f"{number}\n")
                for number in range(in_flight)]
        before = self.descriptors()
        began = time.perf_counter()
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as thread:
                running = thread.submit(self.run_together, jobs, in_flight)
                try:
                    # A slot is taken before the launch. Without the check, an error would not be told.
                    while not running.done() and len(set(cgroup_names(self.prefix))) < in_flight:
                        time.sleep(0.2)
                    living = len(set(cgroup_names(self.prefix)))
                    within = self.descriptors()
                finally:
                    gate.touch()
                answers = running.result()
        finally:
            gate.unlink()
        spent = time.perf_counter() - began
        wrong = [verdict for (_, verdict), (_, text) in zip(answers, jobs) if verdict["output"] != text]
        if wrong:
            raise RuntimeError(f"{len(wrong)} answers are wrong, such as {wrong[:1]}")
        peak = self.counts()["peak"]
        if peak != in_flight or living != in_flight:
            raise RuntimeError(f"{living} sandboxes were there together, and {peak} programs, not {in_flight}")
        return spent, living, within - before

    def config(self, rootfs, program):
        """The config.json that a shell program runs with."""
        binary = os.readlink(f"/proc/{self.process.pid}/exe")
        return subprocess.run([binary, "--rootfs", str(rootfs), "--print-config", program], check=True,
                              capture_output=True, text=True).stdout

    def counts(self):
        return self.request("GET", "/")[2]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def leftovers(self):
        """What is there of its containers: processes, cgroups, mounts, states. An ended process gets a moment."""
        for _ in range(50):
            found = processes(self.prefix) + cgroups(self.prefix) + mounts(str(self.state)) + states(self.state)
            if not found:
                break
            time.sleep(0.1)
        return found

    def end(self, number=signal.SIGTERM):
        """Ends the service, and returns its status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        return status


def processes(prefix):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            continue  # It has ended.
        if f"/{prefix}" in text:
            found.append(f"process {pid}")
    return found


def cgroups(prefix):
    # crun makes directories also where no hierarchy is mounted: those are in no cgroup.
    return [f"cgroup {os.path.join(folder, name)}" for folder, names, _ in os.walk("/sys/fs/cgroup")
            for name in names if name.startswith(prefix) and os.path.exists(os.path.join(folder, "cgroup.procs"))]


def cgroup_names(prefix):
    """The names alone: on cgroup v1 a container has one in each hierarchy."""
    return [path.rpartition("/")[2] for path in cgroups(prefix)]


def mounts(word):
    rows = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [f"mount {row.split()[4]}" for row in rows if word in row]


def states(directory):
    # Other names are those of caches.
    found = sorted(directory.glob("*/")) if directory.is_dir() else []
    return [f"state {path}" for path in found if path.is_dir() and path.name.startswith(PREFIX)]
