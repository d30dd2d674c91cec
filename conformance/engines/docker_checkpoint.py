# SPDX-License-Identifier: Apache-2.0
"""Checkpoint and restore by Docker, which counts them among its experiments: a counter goes on where it stood."""

from docker_daemon import docker, start, state
from docker_run import shell
from harness import case, eventually, expect, expect_in, needs_criu

COUNT = "i=0; while :; do i=$((i+1)); echo $i >/next; mv /next /count; sleep 0.1; done"
GROUP = "experimental"


def count():
    said = docker("exec", "box", "cat", "/count", status=None)
    return int(said) if said.isdigit() else 0


def counted():
    """Starts a counter; gives what it has reached."""
    needs_criu()
    start("--security-opt", "seccomp=unconfined", *shell(COUNT))
    return eventually(lambda: (n := count()) > 15 and n, "it counts")


def goes_on(reached):
    first = count()
    expect(first >= reached, True, f"{first} is not before {reached}")
    eventually(lambda: count() > first, "it goes on")


@case("checkpoint --leave-running", group=GROUP)
def leave_running():
    reached = counted()
    docker("checkpoint", "create", "--leave-running", "box", "one")
    expect_in("one", docker("checkpoint", "ls", "box"))
    expect(state()["Status"], "running", "status")
    goes_on(reached)


@case("checkpoint, start --checkpoint", group=GROUP)
def checkpoint():
    reached = counted()
    docker("checkpoint", "create", "box", "one")
    eventually(lambda: state()["Status"] == "exited", "it ended")
    docker("start", "--checkpoint", "one", "box")
    expect(state()["Status"], "running", "status")
    goes_on(reached)
