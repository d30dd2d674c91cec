# SPDX-License-Identifier: Apache-2.0
"""Suites of this machine in the test VM too: with only cgroup v2, systemd, and a newer kernel.

A suite is built here and copied to the VM, where vm/suite runs it. The VM's own runc and crun are not copied.
"""

import json
import os
import pathlib
import subprocess
import tempfile

import image
import sources
from results import Result
from sources import Unavailable

REPO = pathlib.Path(__file__).resolve().parent.parent.parent
# These results depend on the VM, not on this machine.
MACHINE = "test VM: cgroup v2, systemd"
LIMIT_SECONDS = 3000


def start(program, runtime, words, log, copies=(), kernel_arguments=(), errors=subprocess.STDOUT):
    """Runs a program of this folder in a fresh VM, with a runtime; its output is in `log`."""
    command = [REPO / "conformance/vm/run-in-vm", "--timeout", LIMIT_SECONDS]
    for file in copies:
        command += ["--copy", file]
    for argument in kernel_arguments:
        command += ["--kernel-arg", argument]
    with open(log, "w") as output:
        done = subprocess.run(
            [str(word) for word in [*command, "--", REPO / program, "--runtime", runtime, *words]],
            stdout=output,
            stderr=errors,
        )
    return done.returncode


def run(suite, runtime, only, logs):
    """Runs a module of this folder in the VM."""
    image.build()
    tree, version = suite.built()
    given, copies = runtime.name, []
    if not runtime.path.startswith("/usr/"):
        given, copies = f"./{os.path.basename(runtime.path)}", [runtime.path]
    words = ["--archive", "suite.tar", "--suite", suite.__name__]
    if only:
        words += ["--only", only.pattern]
    with tempfile.TemporaryDirectory() as folder, open(logs / "errors", "w") as errors:
        packed = pathlib.Path(folder) / "suite.tar"
        names = [path.relative_to(tree) for name in suite.NEEDED for path in tree.glob(name)]
        sources.checked("tar", "-cf", packed, "-C", tree, *names)
        log = logs / "results"
        status = start("conformance/vm/suite", given, words, log, [packed, *copies], errors=errors)
    if status:
        raise Unavailable(f"test VM: status {status}\n{(logs / 'errors').read_text()[-2000:]}")
    found = {}
    for line in log.read_text().splitlines():
        told = json.loads(line)
        if "version" in told:
            runtime.version = told["version"]
        elif "log" in told:
            (logs / told["log"]).write_text(told["text"])
        else:
            found[told["test"]] = Result(told["status"], told["detail"])
    return version, found
