# SPDX-License-Identifier: Apache-2.0
"""OCI runtime-tools: each program of validation/ is one test.

The source is the package of Debian sid, or the checkout that RUNTIME_TOOLS names.
"""

import os
import pathlib
import subprocess
import threading

import scratch
import sources
import tap
from results import Result

PACKAGE = "golang-github-opencontainers-runtime-tools"
LIBRARIES = """
    golang-github-blang-semver-dev golang-github-google-uuid-dev
    golang-github-hashicorp-go-multierror-dev golang-github-mrunalp-fileutils-dev
    golang-github-opencontainers-selinux-dev golang-github-opencontainers-specs-dev
    golang-github-sirupsen-logrus-dev golang-github-stretchr-testify-dev
    golang-github-urfave-cli-dev golang-github-xeipuuv-gojsonschema-dev golang-gocapability-dev
    golang-golang-x-sys-dev
""".split()
SUPERVISED = pathlib.Path(__file__).with_name("supervised.py")
TAP_LIBRARY = pathlib.Path(__file__).resolve().parent.parent / "runtime-tools/tap-go"
LIMIT_SECONDS = 60
# The programs name containers by UUIDs, and their cgroups in this form.
CGROUP_NAMES = r"testdir|cgrouptest|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# What the test VM gets of the folder.
NEEDED = ("conformance-bin", "runtimetest", "rootfs-*.tar.gz")


def built():
    """Builds the programs; returns the folder in which they run, and the version."""
    if checkout := os.environ.get("RUNTIME_TOOLS"):
        tree, version = pathlib.Path(checkout).resolve(), f"checkout {checkout}"
    else:
        tree, version = sources.debian_source(PACKAGE, sources.NEWEST)
        version = f"{PACKAGE} {version}"
    sources.install("golang-go", *LIBRARIES)
    workspace = sources.Workspace("runtime-tools")
    workspace.link("github.com/mndrix/tap-go", TAP_LIBRARY)
    tree = workspace.link("github.com/opencontainers/runtime-tools", tree)
    (tree / "conformance-bin").mkdir(exist_ok=True)
    # It runs in a root file system without libraries.
    arguments = ["-tags", "netgo osusergo", "-o", "runtimetest", "./cmd/runtimetest"]
    workspace.build(tree, *arguments, CGO_ENABLED="0")
    workspace.build(tree, "-o", "conformance-bin/", "./validation/...")
    return tree, version


def judge(status, output, errors):
    """The result of one program, from its output."""
    found = tap.results(output)
    failed = [index + 1 for index, result in enumerate(found) if not result["ok"]]
    detail = [f"not ok {index}: {found[index - 1]['description']}" for index in failed]
    detail += errors.splitlines()
    if status == 124:
        return Result("fail", "\n".join([*detail, f"not done after {LIMIT_SECONDS} s"]))
    if failed:
        return Result(f"fail {','.join(map(str, failed))} of {len(found)}", "\n".join(detail))
    if status:
        return Result("fail", "\n".join([*detail, f"exit status {status}"]))
    planned = tap.plans(output)
    if len(planned) == 1 and planned[0] > len(found):
        return Result("fail", f"{planned[0]} results were planned, {len(found)} came")
    if not found:
        return Result("skip", "the program asserts nothing")
    skipped = [result["reason"] for result in found if result["directive"] == "skip"]
    if len(skipped) == len(found):
        return Result("skip", skipped[0])
    return Result("pass", "\n".join(detail))


def run(runtime, only, logs):
    tree, version = built()
    return version, run_built(tree, runtime, only, logs)


def run_built(tree, runtime, only, logs):
    names = sorted(path.name for path in (tree / "conformance-bin").iterdir())
    names = [name for name in names if not only or only.search(name)]
    # The tests of cgroups use the same few paths; all others may run in parallel.
    cgroup_paths = threading.Lock()
    with scratch.Scratch(CGROUP_NAMES) as folder:
        command = folder / runtime.name
        command.write_text(f'#!/bin/sh\nexec {runtime.path} --root {folder}/state "$@"\n')
        command.chmod(0o755)

        def one(name):
            if not name.startswith(("linux_cgroups", "delete")):
                return perform(name)
            with cgroup_paths:
                return perform(name)

        def perform(name):
            done = subprocess.run(
                [SUPERVISED, f"--limit={LIMIT_SECONDS}", "--", f"./conformance-bin/{name}"],
                cwd=tree,
                env={**os.environ, "RUNTIME": str(command), "TMPDIR": str(folder)},
                capture_output=True,
                text=True,
                errors="replace",
            )
            (logs / f"{name}.tap").write_text(done.stdout)
            (logs / f"{name}.err").write_text(done.stderr)
            result = judge(done.returncode, done.stdout, done.stderr)
            return name, result

        found = dict(scratch.three_at_once(one, names))
        listed = subprocess.run([command, "list", "-q"], capture_output=True, text=True).stdout
        for left in listed.split():
            subprocess.run([command, "delete", "--force", left], stderr=subprocess.DEVNULL)
    return found
