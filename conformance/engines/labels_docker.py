# SPDX-License-Identifier: Apache-2.0
"""Docker's own profile and the runtime's: a container under docker-default is stopped by swrunc under its profile."""

import contextlib
import dataclasses
import shutil

import docker_daemon
from docker_daemon import IMAGE, docker, state
from harness import NotRun, call, case, eventually, expect
from labels_host import INSTALLED, PROFILES, is_loaded, loaded
from page import block

TRAP = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"


@case("docker stop, under the profiles of Docker and the runtime", group="docker")
def stop():
    expect(is_loaded("swrunc"), True, "the profile is loaded")
    docker("run", "-d", "--name", "box", "--network", "none", IMAGE, "sh", "-c", TRAP)
    eventually(lambda: "ready" in docker("logs", "box"), "it takes signals")
    expect(docker("exec", "box", "cat", "/proc/self/attr/current"), "docker-default (enforce)", "its profile")
    docker("stop", "-t", "60", "box")
    expect(state()["ExitCode"], 7, "exit code, that of its trap")


@case("docker run with other profiles, under the profile of the runtime", group="docker")
def others():
    def profile(option):
        words = ("--network", "none", "--security-opt", option, IMAGE, "cat", "/proc/self/attr/current")
        return docker("run", "--rm", *words)

    expect(profile("apparmor=unconfined"), "unconfined")
    # The change of the profile is permitted to a program whose own restricts nothing.
    expect(profile("no-new-privileges"), "docker-default (enforce)")


@contextlib.contextmanager
def daemon(given, apparmor):
    if not shutil.which("dockerd"):
        raise NotRun("no dockerd")
    with apparmor(given), loaded(PROFILES / "swrunc"):
        call("sh", "-ec", block("hosts/apparmor.sh", ("/etc/apparmor.d/swrunc", PROFILES / "swrunc")))
        # docker-default is made anew, as at a boot.
        with docker_daemon.opened(dataclasses.replace(given, path=str(INSTALLED))) as after:
            yield after
