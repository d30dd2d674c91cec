# SPDX-License-Identifier: Apache-2.0
"""Checkpoint and restore by Docker, which counts them among its experiments: a counter goes on where it stood."""

from docker_daemon import docker, start, state
from docker_run import shell
from harness import Counter, case, eventually, expect, expect_in, needs_criu

GROUP = "experimental"
counter = Counter(lambda name: docker("exec", name, "cat", Counter.FILE, status=None))


def counted():
    """Starts a counter; gives what it has reached."""
    needs_criu()
    start("--security-opt", "seccomp=unconfined", *shell(Counter.SCRIPT))
    return counter.reached()


@case("checkpoint --leave-running", group=GROUP)
def leave_running():
    reached = counted()
    docker("checkpoint", "create", "--leave-running", "box", "one")
    expect_in("one", docker("checkpoint", "ls", "box"))
    expect(state()["Status"], "running", "status")
    counter.goes_on(reached)


@case("checkpoint, start --checkpoint", group=GROUP)
def checkpoint():
    reached = counted()
    docker("checkpoint", "create", "box", "one")
    eventually(lambda: state()["Status"] == "exited", "it ended")
    # Docker 20.10 refuses this as long as containerd has not collected its own copy of the checkpoint.
    eventually(
        lambda: "already exists" not in docker("start", "--checkpoint", "one", "box", status=None), "it is restored"
    )
    expect(state()["Status"], "running", "status")
    counter.goes_on(reached)
