# SPDX-License-Identifier: Apache-2.0
"""The vendors' ways through engines: Docker with a wrapping runtime and with CDI, Podman with CDI."""

import contextlib
import os
import pathlib
import re
import shutil

import docker_daemon
from docker_daemon import docker
from harness import BUSYBOX, SYSTEMD, NotRun, call, case, cgroups, expect, expect_in, mounts, nothing_left, processes
from page import BINARY, block, extended, linked
from podman_client import podman

GADGET = pathlib.Path(__file__).resolve().parent / "gadget"
# In a container: the device can be opened, the library is there, and the linker knows it.
CACHED = "grep -q libgad.so.1 /etc/ld.so.cache && echo cached"
SHOW = f"""
test -c /dev/gadget && : >>/dev/gadget && echo device
test -s /usr/lib/libgad.so.1 && echo library
{CACHED}"""
SEEN = "device\nlibrary\ncached"
# What a CDI file adds to that.
SHOW_CDI = f"""{SHOW}
echo $GADGET
readlink /usr/lib/libgad.so
touch /usr/lib/libgad.so.1 2>/dev/null || echo read-only"""
SEEN_CDI = f"{SEEN}\none\nlibgad.so.1\nread-only"
DEVICE = "vendor.example/gadget=one"
CDI_FILE = "engines-gadget.json"
ETC = pathlib.Path("/etc/cdi")

PODMAN_ENGINE = """
events_logger = "file"
tmp_dir = "{0}/tmp"
"""
PODMAN_STORAGE = """
[storage]
driver = "overlay"
graphroot = "{0}/data"
runroot = "{0}/run"
"""

current = {}


def wrapper(path, hook, runtime):
    """The vendor's runtime: a program that a user names in place of the runtime."""
    path.write_text(f'#!/bin/sh\nexec {GADGET} wrap {current["folder"]} {hook} {runtime} -- "$@"\n')
    path.chmod(0o755)
    return path


def cdi_hooks():
    """The hooks of a CDI file, as they are in a config."""

    def hook(*words):
        return {"path": str(GADGET), "args": ["gadget", *words]}

    return [
        hook("create-symlinks", "--link", "libgad.so.1::/usr/lib/libgad.so"),
        hook("update-ldcache", "--folder", "/usr/lib"),
    ]


def cdi_file():
    """The article's CDI file, with paths of the test."""
    folder = current["folder"]
    return block(
        "hosts/gadget.json",
        ("/dev/vendor0", folder / "gadget"),
        ("/opt/vendor/libgad.so.1", folder / "libgad.so.1"),
        ("/opt/vendor/gadget-cdi-hook", GADGET),
    )


@case("docker run --runtime with a runtime that adds a prestart hook", limit=600, group="docker")
def docker_prestart():
    command = ("run", "--rm", "--network", "none")
    # Each call of the wrapper starts an interpreter, which takes seconds on an emulated machine.
    said = docker(*command, "--runtime", "gadget", docker_daemon.IMAGE, "sh", "-c", SHOW, limit=300)
    expect(said, SEEN, "what it sees")
    said = docker(*command, docker_daemon.IMAGE, "sh", "-c", SHOW, status=None)
    expect("device" in said, False, f"the device without that runtime: {said}")
    command = ("run", "-d", "--name", "box", "--network", "none", "--runtime", "gadget")
    docker(*command, docker_daemon.IMAGE, "sleep", "1000")
    expect(docker("exec", "box", "sh", "-c", SHOW), SEEN, "what a process of exec sees")


@case("nothing of Docker's is left behind", group="docker")
def nothing_of_docker():
    docker_daemon.leaves_nothing()


@case("docker run --device with a CDI file", group="docker-cdi")
def docker_cdi():
    command = ("run", "--rm", "--network", "none", "--device", DEVICE, docker_daemon.IMAGE)
    expect(docker(*command, "sh", "-c", SHOW_CDI), SEEN_CDI, "what it sees")


@case("podman run --device with a CDI file", group="podman")
def podman_cdi():
    command = ("run", "--rm", "--network", "none")
    expect(podman(*command, "--device", DEVICE, "localhost/bb", "sh", "-c", SHOW_CDI), SEEN_CDI, "what it sees")
    said = podman(*command, "localhost/bb", "sh", "-c", SHOW_CDI, status=None)
    expect("device" in said, False, f"the device without the option: {said}")
    podman("run", "-d", "--name", "box", "--network", "none", "--device", DEVICE, "localhost/bb", "sleep", "1000")
    # Podman itself gives such a process the variables of the image and of its command line alone.
    expect(podman("exec", "box", "sh", "-c", SHOW), SEEN, "what a process of exec sees")


@case("podman run --device names a device that the CDI file does not have", group="podman")
def podman_missing():
    command = ("run", "--rm", "--network", "none", "--device", "vendor.example/gadget=two")
    expect_in("gadget=two", podman(*command, "localhost/bb", "true", status=126))


@case("nothing of Podman's is left behind", group="podman")
def nothing_of_podman():
    podman("rm", "-fa", "-t", "0")
    scratch = os.path.dirname(os.environ["CONTAINERS_CONF"])
    nothing_left(
        lambda: [
            *processes(scratch).values(),
            *mounts(f"{scratch}/data/overlay/"),
            *cgroups(r"/libpod-[0-9a-f]{12}"),
        ]
    )


def dockerd_release():
    """The major version of dockerd; none: 0."""
    if not all(map(shutil.which, ("dockerd", "docker"))):
        raise NotRun("no dockerd, or no client")
    return int(re.search(r"version (\d+)", call("dockerd", "--version"))[1])


@contextlib.contextmanager
def docker_opened(runtime):
    dockerd_release()
    with current["opened"](runtime):
        gadget = wrapper(current["scratch"] / "gadget-runtime", "prestart", runtime.path)
        paths = {"swrunc": {"path": runtime.path}, "gadget": {"path": str(gadget)}}
        with docker_daemon.opened(runtime, runtimes=paths) as after:
            yield after


@contextlib.contextmanager
def docker_cdi_opened(runtime):
    if (found := dockerd_release()) < 25:
        raise NotRun(f"Docker {found} does not know CDI; 25 and later do")
    with current["opened"](runtime):
        folder = current["scratch"] / "cdi"
        folder.mkdir()
        (folder / CDI_FILE).write_text(cdi_file())
        configuration = {"features": {"cdi": True}, "cdi-spec-dirs": [str(folder)], "experimental": True}
        with docker_daemon.opened(runtime, **configuration) as after:
            yield after


@contextlib.contextmanager
def podman_opened(runtime):
    if not shutil.which("podman"):
        raise NotRun("no podman")
    if not SYSTEMD:
        raise NotRun("Podman's configuration here is that for a machine with systemd")
    with current["opened"](runtime):
        scratch, had = current["scratch"], ETC.exists()
        conf, store = scratch / "containers.conf", scratch / "storage.conf"
        text = block("podman/containers.conf", (BINARY, runtime.path))
        conf.write_text(extended(text, "[engine]", PODMAN_ENGINE.format(scratch)))
        store.write_text(PODMAN_STORAGE.format(scratch))
        os.environ["PATH"] = linked(runtime.path, scratch / "commands")
        os.environ.update(CONTAINERS_CONF=str(conf), CONTAINERS_STORAGE_CONF=str(store))
        try:
            ETC.mkdir(exist_ok=True)
            (ETC / CDI_FILE).write_text(cdi_file())
            call("tar", "-C", BUSYBOX, "-cf", scratch / "image.tar", ".")
            podman("import", scratch / "image.tar", "localhost/bb")
            yield lambda word: podman("rm", "-fa", "-t", "0", status=None)
        finally:
            podman("rm", "-fa", "-t", "0", status=None)
            (ETC / CDI_FILE).unlink(missing_ok=True)
            if not had:
                ETC.rmdir()
