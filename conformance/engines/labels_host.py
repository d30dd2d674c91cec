# SPDX-License-Identifier: Apache-2.0
"""The runtime where a user has it, its bundles, and AppArmor's profiles for the time of a case."""

import contextlib
import json
import pathlib
import shutil
import subprocess

from harness import CALL_SECONDS, Failed, NotRun, call, needs_swrunc, root_filesystem, scratch_folder

PROFILES = pathlib.Path(__file__).resolve().parent.parent.parent / "packaging/deb/apparmor"
BASE = pathlib.Path("/etc/apparmor.d/abstractions/base.d/swrunc")
INSTALLED = pathlib.Path("/usr/local/bin/swrunc")
LOADED = pathlib.Path("/sys/kernel/security/apparmor/profiles")
current = {}


def runtime():
    return INSTALLED


def bundle(args, *flags, **process):
    """A bundle of the runtime's default config, whose root file system cannot be changed."""
    folder = current["scratch"] / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    call(INSTALLED, "spec", *flags, cwd=folder)
    config = json.loads((folder / "config.json").read_text())
    config["process"].update(terminal=False, args=list(args), rlimits=[], **process)
    config["root"] = {"path": str(current["busybox"]), "readonly": True}
    config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmp", "options": ["mode=1777"]})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def is_loaded(name):
    return any(line.startswith(f"{name} ") for line in LOADED.read_text().splitlines())


@contextlib.contextmanager
def loaded(profile):
    """Loads a profile, a text or a file, for the time of the `with`."""
    given = {"stdin": profile} if isinstance(profile, str) else {}
    words = [] if given else [profile]
    call("apparmor_parser", "--skip-cache", "--replace", *words, **given)
    try:
        yield
    finally:
        call("apparmor_parser", "--remove", *words, **given, status=None)


@contextlib.contextmanager
def detached(folder):
    """Runs a container in the background; gives a function that calls the runtime."""
    words = (INSTALLED, "--root", current["scratch"] / "states")

    def box(*more, **options):
        return call(*words, *more, **options)

    log = current["scratch"] / "log"
    try:
        with open(log, "w") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            command = [*words, "run", "--detach", "--bundle", folder, "box"]
            if subprocess.run(command, timeout=CALL_SECONDS, **streams).returncode:
                raise Failed(f"the container does not start\n{log.read_text()}")
        yield box
    finally:
        box("delete", "--force", "box", status=None)


@contextlib.contextmanager
def installed(given):
    """The runtime at the path of the articles, for the time of the `with`."""
    needs_swrunc(given.path)
    if INSTALLED.exists():
        raise NotRun(f"{INSTALLED} is there")
    with scratch_folder("engines-labels") as scratch:
        scratch.chmod(0o755)
        current.update(scratch=scratch, busybox=root_filesystem(scratch))
        try:
            shutil.copy(given.path, INSTALLED)
            INSTALLED.chmod(0o755)
            yield lambda word: None
        finally:
            INSTALLED.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(given):
    """The same, with the package's lines for the profiles of others."""
    if BASE.exists():
        raise NotRun(f"{BASE} is there")
    had = BASE.parent.exists()
    with installed(given) as after:
        try:
            BASE.parent.mkdir(exist_ok=True)
            BASE.symlink_to(PROFILES / "base.d/swrunc")
            yield after
        finally:
            BASE.unlink(missing_ok=True)
            if not had:
                BASE.parent.rmdir()
