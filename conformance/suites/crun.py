# SPDX-License-Identifier: Apache-2.0
"""crun's own tests, Python programs that speak TAP, from Debian's source package of crun.

Each test is run alone, so that one that hangs costs no other. The root file system of its container has
only `init`, crun's own static test program.
"""

import ast
import contextlib
import os
import pathlib
import shlex
import subprocess

import scratch
import sources
import tap
from results import Result

# Debian's stable release: its source package does not give way to another version, as in sid.
SUITE = "trixie"
PACKAGES = "bsdutils gcc libc6-dev libseccomp-dev linux-libc-dev"
# What crun's configure would find here, as far as init.c asks.
FOUND = ("HAVE_ERROR_H", "HAVE_LINUX_IOPRIO_H", "HAVE_SECCOMP")
SUPERVISED = pathlib.Path(__file__).with_name("supervised.py")
# What the tests need beside the suite.
HERE = pathlib.Path(__file__).resolve().parent.parent / "crun"
LIMIT_SECONDS = 40
CGROUP_NAMES = r"test-tmp\w+|container-\d+|frozen"
UNIFIED = scratch.CGROUPS / "unified"
# What the test VM gets of the folder.
NEEDED = ("*.py", "init")


def built():
    """Compiles `init`; returns the folder of the tests, and the version."""
    tree, version = sources.debian_source("crun", SUITE)
    sources.install(*PACKAGES.split())
    folder = tree / "tests"
    (folder / "config.h").touch()
    defined = [f"-D{name}" for name in FOUND]
    sources.checked("gcc", "-static", *defined, "-I", folder, "-o", folder / "init", folder / "init.c")
    return folder, f"crun {version}"


def built_runtime():
    """crun of the release that the suite is from."""
    return sources.foreign("crun", SUITE, "crun", "libcriu2") / "crun"


def test_names(path):
    """The keys of the dictionary that each program gives to the suite's main function."""
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == "all_tests":
            return [key.value for key in statement.value.keys]
    return []


@contextlib.contextmanager
def without_unified():
    """Hides cgroup v2 from all if it has controllers beside cgroup v1: crun refuses such a machine.

    It is not only unmounted, since crun makes folders below the path of each hierarchy.
    """
    listed = UNIFIED / "cgroup.controllers"
    hidden = listed.exists() and listed.read_text().strip()
    if hidden:
        sources.checked("mount", "-t", "tmpfs", "tmpfs", UNIFIED)
    try:
        yield
    finally:
        if hidden:
            sources.checked("umount", UNIFIED)


def command_of(runtime):
    """The command for the tests: crun, or what calls another runtime as if it were crun."""
    said = subprocess.run([runtime.path, "--version"], capture_output=True, text=True).stdout
    return runtime.path if said.startswith("crun ") else HERE / "as-crun"


def judge(status, output, errors):
    """The result of one test."""
    found = tap.results(output)
    said = [line for line in output.splitlines() if line != "1..1" and not tap.LINE.match(line)]
    detail = "\n".join([*said, *errors.splitlines()])
    if status == 124:
        return Result("fail", f"{detail}\nnot done after {LIMIT_SECONDS} s")
    if len(found) != 1:
        return Result("fail", f"{detail}\n{len(found)} results, status {status}")
    if found[0]["directive"] == "skip":
        return Result("skip")
    return Result("pass" if found[0]["ok"] else "fail", detail)


def run(runtime, only, logs):
    tests, version = built()
    return version, run_built(tests, runtime, only, logs)


def run_built(tests, runtime, only, logs):
    chosen = [
        (path, name)
        for path in sorted(tests.glob("test_*.py"))
        for name in test_names(path)
        if not only or only.search(title(path, name))
    ]
    # In this order: CRIU mounts cgroup v2 itself, and leaves cgroups there.
    with scratch.Scratch(CGROUP_NAMES) as folder, without_unified():
        # Users of containers must be able to enter it.
        temporary = folder / "t"
        temporary.mkdir(mode=0o755)
        environment = {
            **os.environ,
            "OCI_RUNTIME": str(command_of(runtime)),
            "RUNTIME": runtime.path,
            "INIT": str(tests / "init"),
            "TMPDIR": str(temporary),
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C",
        }

        def one(test):
            return title(*test), run_test(*test, temporary, environment, logs)

        # Each has containers and a state directory of its own.
        found = dict(scratch.three_at_once(one, chosen))
    return found


def title(path, name):
    return f"{path.stem.removeprefix('test_')}: {name}"


def run_test(path, name, folder, environment, logs):
    """Runs one test with a terminal, without which some are skipped."""
    log = logs / f"{path.stem}.{name}"
    errors = log.with_name(f"{log.name}.err")
    program = f"exec /usr/bin/python3 {shlex.quote(str(path))} 2>{shlex.quote(str(errors))}"
    done = subprocess.run(
        [
            SUPERVISED,
            f"--limit={LIMIT_SECONDS}",
            "--terminal",
            "--",
            "script",
            "--quiet",
            "--return",
            "--command",
            program,
            "/dev/null",
        ],
        cwd=folder,
        env={**environment, "RUN_TESTS": name},
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    log.write_text(done.stdout)
    return judge(done.returncode, done.stdout, errors.read_text(errors="replace"))
