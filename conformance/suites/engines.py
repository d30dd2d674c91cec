# SPDX-License-Identifier: Apache-2.0
"""Container engines that use the runtime, in the test VM (conformance/vm), and Docker on this machine.

Each program of conformance/engines runs in a fresh VM. runc and crun are the VM's own. The VM is emulated, so
a hundred containers at once are run on this machine.
"""

import os
import pathlib
import re
import subprocess

import image
from in_vm import REPO
from results import Result
from sources import CACHE, NEWEST, Unavailable, checked, install, unpacked

ENGINES = (
    "docker", "containerd", "containerd-2", "podman", "rootless-podman", "rootless-docker", "buildah", "systemd",
    "nested", "hooks", "labels",
)  # fmt: skip
# Those that this machine can run without changing what it has.
HERE = ("docker", "nested", "hooks")
# The programs of a newer package than the VM's, which work there without its other files.
NEWER = {"containerd-2": ("containerd", ("containerd", "containerd-shim-runc-v2", "ctr"))}
LIMIT_SECONDS = 3000
# Packages on this machine: Docker itself, and what its image is made of.
PACKAGES = ("docker.io", "containerd", "busybox-static")
STATUS = {"ok": "pass", "FAILED": "fail", "not run": "skip"}
LINE = re.compile(r"^(ok|FAILED|not run) +[\d.]+ s  (.+?)(?:: (.*))?$")
HEADER = re.compile(r"^[\w-]+ with (\S+) (\S+)$", re.M)
VERSIONS = re.compile(r"^run by (.+); (cgroup .+)$", re.M)


def results(text):
    """The result of each case, by name, with its details."""
    found, last = {}, None
    for line in text.splitlines():
        if match := LINE.match(line):
            status, reason = STATUS[match[1]], match[3] or ""
            # An engine's program skips a case only if the machine lacks something.
            last = found[match[2]] = Result(status, f"machine: {reason}" if status == "skip" else reason)
        elif line.startswith("    ") and last:
            last.detail += f"\n{line[4:]}"
    return found


def command(runtime, engine, only):
    """The command that runs an engine's cases in the VM."""
    vm = [REPO / "conformance/vm/run-in-vm", "--timeout", LIMIT_SECONDS]
    given = runtime.name
    if not runtime.path.startswith("/usr/"):
        vm += ["--copy", runtime.path]
        given = f"./{pathlib.Path(runtime.path).name}"
    for program in newer(engine):
        vm += ["--copy", program]
    # The number of containers in the cases with many.
    counts = [f"{name}={os.environ[name]}" for name in ("COUNT", "ROUNDS") if name in os.environ]
    script = ["env", *counts, REPO / "conformance/engines" / engine, "--runtime", given]
    if only:
        script += ["--only", only.pattern]
    return [str(word) for word in [*vm, "--", *script]]


def newer(engine):
    """The files of an engine that the VM does not have, from Debian's newest package."""
    if engine not in NEWER:
        return []
    package, programs = NEWER[engine]
    root = unpacked(NEWEST, CACHE / "packages" / engine, [package], (package,))
    return [root / "usr/bin" / program for program in programs]


def articles():
    """Fails unless the programs use all lines of the articles, and no others."""
    checked(REPO / "conformance/pages")


def packages():
    """The VM's engines, with their versions."""
    versions = image.packages()
    names = ("docker.io", "docker-buildx", "containerd", "podman", "buildah", "rootlesskit")
    return ", ".join(f"{name} {versions[name]}" for name in names if name in versions)


def run(runtime, only, logs):
    articles()
    image.build()
    found = {}
    for engine in ENGINES:
        script = REPO / "conformance/engines" / engine
        if not script.exists():
            continue
        cases = listed(script)
        if only and not any(only.search(f"{engine}: {name}") for name in cases):
            continue
        print(f"engines: {engine}", flush=True)
        found.update(perform(runtime, engine, command(runtime, engine, only), logs, cases))
    return packages(), found


def listed(script):
    """The names of a program's cases."""
    return checked(script, "--list").splitlines()


def run_here(runtime, only, logs):
    """Docker's cases on this machine, with a separate daemon, and those of nested containers and vendors' hooks."""
    articles()
    install(*PACKAGES)
    found = {}
    for engine in HERE:
        script = [REPO / "conformance/engines" / engine, "--runtime", runtime.path]
        cases = listed(script[0])
        if only and not any(only.search(f"{engine}: {name}") for name in cases):
            continue
        if only:
            script += ["--only", only.pattern]
        found.update(perform(runtime, engine, script, logs, cases))
    versions = checked("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES[:2])
    return ", ".join(versions.splitlines()), found


def perform(runtime, engine, command, logs, cases):
    """Runs an engine's program; returns the result of each case.

    If all cases have run, the runtime's `engines` tells with which versions, as the program has said.
    """
    with open(logs / engine, "w+") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT)
        log.seek(0)
        text = log.read()
    if done.returncode not in (0, 1) or not (header := HEADER.search(text)):
        raise Unavailable(f"{engine}: status {done.returncode}\n{text[-2000:]}")
    runtime.version = header[2]
    found = results(text)
    if set(found) >= set(cases) and (told := VERSIONS.search(text)):
        runtime.engines[engine] = {"versions": told[1], "cgroups": told[2]}
    return {f"{engine}: {name}": one for name, one in found.items()}
