# SPDX-License-Identifier: Apache-2.0
"""Checkpoint and restore by Podman: a counter, which must go on where it stood, and a TCP connection."""

import pathlib
import tempfile

from harness import Counter, case, eventually, expect, expect_in, needs_criu
from podman_client import podman, shell, start, state

# One process of the container writes to another one, which sends all back, by TCP.
ECHO = """
nc -l -p 99 -e cat & sleep 2
{ while :; do echo x; sleep 0.2; done; } | nc 127.0.0.1 99 >/echoed
"""


counter = Counter(lambda name: podman("exec", name, "cat", Counter.FILE, status=None))


def counted(name="box"):
    """Starts a counter; gives what it has reached."""
    needs_criu()
    start(*shell(Counter.SCRIPT), name=name)
    return counter.reached(name)


def stops(name="box"):
    podman("kill", name)
    eventually(lambda: state(name)["Status"] == "exited", "it ended")


@case("checkpoint and restore")
def checkpoint():
    reached = counted()
    podman("container", "checkpoint", "--keep", "box")
    expect((state()["Status"], state()["Checkpointed"]), ("exited", True), "state")
    podman("container", "restore", "--keep", "box")
    expect(state()["Status"], "running", "status")
    counter.goes_on(reached)
    stops()


@case("checkpoint --leave-running")
def leave_running():
    reached = counted()
    podman("container", "checkpoint", "--leave-running", "box")
    expect(state()["Status"], "running", "status")
    counter.goes_on(reached)
    stops()


@case("checkpoint --export, restore --import under another name")
def export():
    reached = counted()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        file = pathlib.Path(folder, "box.tar")
        podman("container", "checkpoint", "--compress", "none", "--export", file, "box")
        podman("rm", "-f", "-t", "0", "box")
        podman("container", "restore", "--import", file, "--name", "one")
        podman("container", "restore", "--import", file, "--name", "two")
        counter.goes_on(reached, "one")
        counter.goes_on(reached, "two")
        stops("one")
        stops("two")


@case("checkpoint --pre-checkpoint and --with-previous")
def pre_checkpoint():
    reached = counted()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        first, second = pathlib.Path(folder, "first.tar"), pathlib.Path(folder, "second.tar")
        plain = ("--compress", "none")
        podman("container", "checkpoint", *plain, "--pre-checkpoint", "--export", first, "box")
        expect(state()["Status"], "running", "status")
        podman("container", "checkpoint", *plain, "--with-previous", "--export", second, "box")
        podman("rm", "-f", "-t", "0", "box")
        podman("container", "restore", "--import-previous", first, "--import", second)
        counter.goes_on(reached)
        stops()


@case("checkpoint --tcp-established")
def tcp():
    needs_criu()
    start(*shell(ECHO))

    def echoed():
        said = podman("exec", "box", "cat", "/echoed", status=None)
        return said.count("x")

    eventually(lambda: echoed() > 3, "the connection carries bytes")
    expect_in("TCP", podman("container", "checkpoint", "box", status=125).upper(), "refusal")
    reached = echoed()
    eventually(lambda: echoed() > reached, "a refused checkpoint leaves it running")
    podman("container", "checkpoint", "--tcp-established", "--keep", "box")
    podman("container", "restore", "--tcp-established", "--keep", "box")
    reached = echoed()
    eventually(lambda: echoed() > reached, "the connection goes on")
    stops()
