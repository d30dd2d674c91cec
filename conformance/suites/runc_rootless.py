# SPDX-License-Identifier: Apache-2.0
"""runc's integration suite as an ordinary user of this machine: with subordinate ids, without, and with
cgroups as well.

The user exists only for the run, in mounts that no other process sees.
"""

import pathlib
import subprocess

import runc
import runc_vm
import scratch
from in_vm import REPO

WAYS = ("rootless", "plain", "delegated")
# A user ID that is not in use here.
USER_ID = 64_100
BEGIN, COUNT = 6_410_000, 65_536


def make_user(folder):
    """The user "rootless", as this program and its children see the machine."""
    lines = {
        "passwd": f"rootless:x:{USER_ID}:{USER_ID}::{folder}/home:/bin/sh",
        "group": f"rootless:x:{USER_ID}:",
        "subuid": f"rootless:{BEGIN}:{COUNT}",
        "subgid": f"rootless:{BEGIN}:{COUNT}",
    }
    for name, line in lines.items():
        original = pathlib.Path("/etc", name)
        own = folder / name
        kept = [x for x in original.read_text().splitlines() if not x.startswith("rootless:")]
        own.write_text("\n".join([*kept, line, ""]))
        subprocess.run(["mount", "--bind", own, original], check=True)
    home = folder / "home"
    home.mkdir()
    subprocess.run(["chown", f"{USER_ID}:{USER_ID}", home], check=True)


def unmake_user():
    for name in ("passwd", "group", "subuid", "subgid"):
        subprocess.run(["umount", f"/etc/{name}"], check=True)


def run(runtime, only, logs):
    tree, version, _ = runc.built()
    found = {}
    with scratch.Scratch(runc.CGROUP_NAMES) as folder:
        packed = runc_vm.archive(folder, tree)
        make_user(folder)
        try:
            for way in WAYS:
                found.update(run_way(runtime, way, only, tree, packed, folder, logs))
        finally:
            unmake_user()
    return version, found


def run_way(runtime, way, only, tree, packed, folder, logs):
    names, words = {}, []
    for path in sorted((tree / "tests/integration").glob("*.bats")):
        wanted, word = runc_vm.chosen(path, way, only)
        if wanted:
            names[path.stem] = wanted
            words.append(word)
    if not words:
        return {}
    log = logs / way
    with open(log, "w") as output:
        subprocess.run(
            [
                REPO / "conformance/vm/runc-suite", "--archive", packed, "--runtime", runtime.path,
                "--way", way, "--place", folder / way, *words,
            ],
            check=True,
            stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    return runc_vm.results(way, log, names)
