# SPDX-License-Identifier: Apache-2.0
"""Cases of nested containers whose outer one is Docker's, with Docker's own profiles; also a dockerd in it."""

import contextlib
import os
import pathlib
import shutil

import docker_daemon
from docker_daemon import IMAGE, docker, inspected
from harness import NotRun, case, eventually, expect, expect_in
from nested_outer import INNER, UNIFIED, USER, Outer, current, lives, lives_without_cgroup, of_inner, prepare, root
from page import block

# All that the article names for ordinary users; the third is known where AppArmor is in force.
UNCONFINED = ("seccomp=unconfined", "systempaths=unconfined", "apparmor=unconfined")
SOCKET = "/run/inner.sock"
# Nothing of the outer container's network is changed.
DAEMON = f"""
mkdir -p /run/inner
dockerd --host unix://{SOCKET} --data-root /data --exec-root /run/exec --pidfile /run/inner.pid \\
    --add-runtime swrunc=/runtime --default-runtime swrunc \\
    --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false >/run/dockerd.log 2>&1 &
"""


class DockerOuter(Outer):
    """An outer container of Docker's; programs are started in it by `docker exec`."""

    def __init__(self, rootless):
        super().__init__(rootless)
        self.cgroup = inspected("box")["Id"]
        self.rootless = rootless

    def run(self, *words, **options):
        user = ("-u", f"{USER}:{USER}", "-e", "XDG_RUNTIME_DIR=/run") if self.rootless else ()
        return docker("exec", *user, "box", *words, **options)


def start(*options, rootless=False):
    """Starts an outer container; docker_daemon removes it after the case."""
    made = root()
    prepare(made, rootless, limited=not rootless)
    volumes = {
        "/usr": "/usr",
        "/usr/lib": "/lib",
        "/usr/lib64": "/lib64",
        "/etc/ld.so.cache": "/etc/ld.so.cache",
        current["runtime"].path: "/runtime",
        made / "inner": "/inner",
        current["busybox"]: "/inner/rootfs",
    }
    words = [word for source, place in volumes.items() for word in ("-v", f"{source}:{place}:ro")]
    tmpfs = ("--tmpfs", "/run:mode=1777,exec")
    docker("run", "-d", "--name", "box", *tmpfs, *words, *options, IMAGE, "/bin/sleep", "3000")
    return DockerOuter(rootless)


@case("docker run with the default profile refuses an ordinary user's container, with the reason", group="docker")
def default_profile():
    said = start(rootless=True).create(status=9)
    expect_in("clone", said)
    expect_in("seccomp", said)


@case("docker run, unconfined, with an ordinary user's container", group="docker")
def unconfined():
    chosen = UNCONFINED[: 3 if os.path.isdir("/sys/kernel/security/apparmor/policy") else 2]
    options = [word for option in chosen for word in ("--security-opt", option)]
    lives_without_cgroup(start(*options, rootless=True))


@case("docker run --privileged", group="docker")
def privileged():
    running = start("--privileged", "--cgroupns", "private")
    if UNIFIED:
        running.shell(block("hosts/leaf.sh"))
    lives(running)


@case("dockerd in docker run --privileged", limit=900, group="docker")
def docker_in_docker():
    running = start("--privileged", "--cgroupns", "private", "-v", "/data", "-e", "container=docker")
    if UNIFIED:
        running.shell(block("hosts/leaf.sh"))
    running.shell(DAEMON)

    def inner(text, **options):
        return running.shell(f"docker --host unix://{SOCKET} {text}", **options)

    try:
        command = "version >/dev/null 2>&1 && echo ready; true"
        eventually(lambda: "ready" in inner(command), "dockerd in it answers", 400)
    except Exception as error:
        raise type(error)(f"{error}\n{running.shell('tail -n 30 /run/dockerd.log')}") from None
    running.shell(f"tar -C /inner/rootfs -c . | docker --host unix://{SOCKET} import - bb")
    expect(inner("info --format '{{.DefaultRuntime}}'").splitlines()[-1], "swrunc", "its default runtime")
    inner(f"run -d --name {INNER} --network none --memory 64m bb sleep 1000")
    expect_in("sleep", inner(f"exec {INNER} cat /proc/1/comm"))
    number = inner(f"inspect --format '{{{{.Id}}}}' {INNER}").splitlines()[-1]
    name = "memory.max" if UNIFIED else "memory.limit_in_bytes"
    files = pathlib.Path("/sys/fs/cgroup").glob(f"**/{number}/{name}")
    expect([(file.read_text(), running.cgroup in str(file)) for file in files], [(f"{64 << 20}\n", True)], "limits")
    for word, status in (("pause", "paused"), ("unpause", "running"), ("kill", "exited")):
        inner(f"{word} {INNER}")
        said = inner(f"inspect --format '{{{{.State.Status}}}}' {INNER}").splitlines()[-1]
        expect(said, status, f"status after {word}")
    inner(f"rm {INNER}")


@case("docker rm --force of an outer container ends the inner one", group="docker")
def removed():
    running = start("--privileged", "--cgroupns", "private")
    if UNIFIED:
        running.shell(block("hosts/leaf.sh"))
    running.create()
    running.inner("start", INNER)
    expect(bool(of_inner()), True, "the inner container has a cgroup")
    docker("rm", "-f", "-v", "box")
    expect(of_inner(), [], "the inner container's cgroups")


@case("nothing of Docker's is left behind", group="docker")
def nothing_of_docker():
    docker_daemon.leaves_nothing()


@contextlib.contextmanager
def opened(runtime):
    if missing := [name for name in ("dockerd", "docker") if not shutil.which(name)]:
        raise NotRun(f"no {missing[0]}")
    with current["opened"](runtime), docker_daemon.opened(runtime) as after:
        yield after
