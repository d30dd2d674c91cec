# SPDX-License-Identifier: Apache-2.0
"""runc's integration suite in the test VM: with only cgroup v2, systemd, and an ordinary user.

The suite is built here and copied to the VM; vm/runc-suite runs it. The VM is emulated and slow, so only
files that can give other results there are run, with three ways of calling the runtime, and as root in a VM
with SELinux instead of AppArmor.
"""

import os
import pathlib
import re
import subprocess
import tempfile

import image
import in_vm
import runc
import sources
from results import Result
from sources import Unavailable

# Files that need the VM; the others would give the same results there as here.
WAYS = {
    "v2": (
        "cgroup_delegation", "cgroups", "checkpoint", "cpu_affinity", "delete", "dev", "events", "exec",
        "kill", "mounts", "pause", "pidfd-socket", "ps", "run", "start_hello", "update", "userns",
    ),
    "systemd": (
        "cgroup_delegation", "cgroups", "checkpoint", "cpu_affinity", "delete", "dev", "events", "exec",
        "kill", "pause", "pidfd-socket", "ps", "run", "start_hello", "update",
    ),
    "rootless": (
        "cgroups", "create", "cwd", "delete", "events", "exec", "kill", "mask", "pause", "ps", "run",
        "spec", "start_hello", "tty", "update",
    ),
    "selinux": ("selinux", "userns"),
}  # fmt: skip


def archive(folder, tree):
    """The built suite, the programs that its tests compile, and gawk with its libraries, in one file."""
    compiled = folder / "compiled"
    compiled.mkdir()
    for source in (tree / "tests/integration/testdata").glob("*.c"):
        sources.checked("gcc", "-static", "-o", compiled / source.stem, source)
    extra = folder / "gawk"
    extra.mkdir()
    program = pathlib.Path("/usr/bin/gawk")
    listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    libraries = re.findall(r"=> (/\S+)", listed)
    # The VM has its own C library.
    for path in [program, *(p for p in libraries if not re.search(r"/lib[cm]\.so", p))]:
        sources.checked("cp", "-L", path, extra)
    file = folder / "suite.tar"
    sources.checked("tar", "-cf", file, "-C", folder, "gawk", "compiled", "-C", tree, "tests")
    return file


def chosen(path, way, only):
    """The names of a file's tests to run, and the argument for the VM."""
    names = runc.test_names(path)
    wanted = [n for n in names if not only or only.search(f"{way}: {path.stem}: {n}")]
    if wanted == names:
        return names, path.stem
    escaped = (re.sub(r"([][.*+?^${}()|\\])", r"\\\1", name) for name in wanted)
    return wanted, f"{path.stem}=^({'|'.join(escaped)}) *$"


def run(runtime, only, logs):
    image.build()
    tree, version, _ = runc.built()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        packed = archive(pathlib.Path(folder), tree)
        for way, files in WAYS.items():
            names, words = {}, []
            for file in files:
                wanted, word = chosen(tree / f"tests/integration/{file}.bats", way, only)
                if wanted:
                    names[file] = wanted
                    words.append(word)
            if words:
                found.update(run_way(runtime, way, names, words, packed, logs))
    return version, found


def run_way(runtime, way, names, words, packed, logs):
    print(f"runc-vm: {way}", flush=True)
    log = logs / way
    # The VM's own runc is older than the suite.
    given, copies = f"./{os.path.basename(runtime.path)}", [packed, runtime.path]
    words = ["--archive", packed.name, "--way", way, *words]
    security = ["security=selinux"] if way == "selinux" else []
    status = in_vm.start("conformance/vm/runc-suite", given, words, log, copies, security)
    if status not in (0, 124):
        text = log.read_text(errors="replace")
        raise Unavailable(f"runc-vm: {way}: status {status}\n{text[-2000:]}")
    return results(way, log, names)


def results(way, log, names):
    """The output of vm/runc-suite for each file."""
    text = log.read_text(errors="replace")
    found = {}
    parts = re.split(r"^== (\S+)\n", text, flags=re.M)[1:]
    for file, part in zip(parts[::2], parts[1::2]):
        for name, result in runc.judge(file, part, names[file]).items():
            found[f"{way}: {name}"] = result
    return found
