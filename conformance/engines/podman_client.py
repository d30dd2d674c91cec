# SPDX-License-Identifier: Apache-2.0
"""Calls of Podman that the files of its cases share; the environment names its storage and runtime."""

import json
import pathlib
import re

from harness import Failed, call, expect, expect_in
from page import block

IMAGE = "localhost/bb"
SLEEP = (IMAGE, "sleep", "1000")


def podman(*arguments, **options):
    return call("podman", *arguments, **options)


def run(*arguments, **options):
    return podman("run", "--rm", "--network", "none", *arguments, **options)


def start(*arguments, name="box"):
    podman("run", "-d", "--network", "none", "--name", name, *arguments)


def shell(text):
    return (IMAGE, "sh", "-c", text)


def inspected(name="box"):
    return json.loads(podman("container", "inspect", name))[0]


def state(name="box"):
    return inspected(name)["State"]


def cgroup(name="box"):
    return pathlib.Path("/sys/fs/cgroup" + state(name)["CgroupPath"])


def proves(shell):
    """The article's proof, in a shell of root or of a user; and that it is none for another runtime."""
    image = ("busybox", IMAGE)
    said = shell(block("podman/proof.sh", image))
    expect(re.findall(r"^swrunc", said, re.M), ["swrunc"] * 2, "the runtime's name")
    expect_in('"status": "running"', said)
    said = shell(block("podman/proof.sh", image, ("podman run -d", "podman --runtime crun run -d")))
    shell("podman rm -f -t 0 proof")
    expect_in("does not exist", said, "what swrunc says of crun's container")
    if '"status"' in said:
        raise Failed(f"the proof holds for another runtime\n{said}")
