# SPDX-License-Identifier: Apache-2.0
"""Calls of Podman that the files of its cases share; the environment names its storage and runtime."""

import json
import pathlib

from harness import call

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
