# SPDX-License-Identifier: Apache-2.0
"""Docker's cases of many containers: build, Compose, Swarm, live restore, a hundred at once."""

import os
import pathlib
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import docker_daemon
from docker_daemon import IMAGE, api, docker, inspected, needs_bridge, run, start, state
from docker_run import SLEEP, shell
from harness import SYSTEMD, Failed, NotRun, call, case, eventually, expect, expect_in

# The machine with systemd is emulated, and each container takes seconds there.
COUNT = int(os.environ.get("COUNT", "25" if SYSTEMD else "100"))
ROUNDS = int(os.environ.get("ROUNDS", "2"))

DOCKERFILE = """
FROM bb
RUN echo built >/made && id -u >/by && chmod 777 /tmp
RUN --network=none cat /made
USER 65534
WORKDIR /work
RUN id -u >/tmp/by2
CMD ["cat", "/made", "/by", "/tmp/by2"]
"""

COMPOSE = """
services:
  web:
    image: bb
    command: sh -c "mkdir /www; echo composed >/www/page; exec httpd -f -p 80 -h /www"
  client:
    image: bb
    runtime: swrunc
    depends_on: [web]
    command: sh -c "until wget -T 5 -qO- http://web/page; do sleep 0.5; done; sleep 1000"
"""


def build(text, **environment):
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "Dockerfile").write_text(text)
        environment = {**os.environ, **environment}
        said = docker("build", "--pull=false", "-t", "built", folder, env=environment, limit=280)
    try:
        expect(run("built").splitlines(), ["built", "0", "65534"])
    finally:
        docker("image", "rm", "-f", "built", status=None)
    return said


@case("build, classic", limit=300)
def build_classic():
    build(DOCKERFILE.replace("--network=none ", ""), DOCKER_BUILDKIT="0")


@case("build with BuildKit", limit=300)
def build_buildkit():
    if "buildx" not in docker("info", "--format", "{{range .ClientInfo.Plugins}}{{.Name}} {{end}}"):
        raise NotRun("the client has no buildx")
    build(DOCKERFILE, DOCKER_BUILDKIT="1")


@case("Compose", limit=300)
def compose():
    needs_bridge()
    command = ("docker", "compose")
    if call(*command, "version", status=None).startswith("docker: "):
        raise NotRun("no Compose")
    with tempfile.TemporaryDirectory(prefix="engines") as folder:
        pathlib.Path(folder, "compose.yml").write_text(COMPOSE)
        call(*command, "up", "-d", "--pull", "never", cwd=folder, limit=200)
        try:
            eventually(
                lambda: "composed" in call(*command, "logs", "client", cwd=folder, limit=60),
                "one service sees the other",
            )
        finally:
            call(*command, "down", "-t", "0", "-v", cwd=folder, limit=200)
    expect(api("GET", "/containers/json?all=1"), [], "containers after down")


def running(service):
    return [
        task
        for task in api("GET", '/tasks?filters={"service":["%s"]}' % service)
        if task["Status"]["State"] == "running" and task["DesiredState"] == "running"
    ]


@case("Swarm, a service scaled to 3, a rolling update", limit=500)
def swarm():
    needs_bridge()
    address = call("ip", "-4", "-o", "addr", "show", "eth0").split()[3].split("/")[0]
    docker("swarm", "init", "--advertise-addr", address)
    try:
        docker("service", "create", "-d", "--no-resolve-image", "--name", "many", *SLEEP)
        eventually(lambda: len(running("many")) == 1, "one task runs", 180)
        docker("service", "scale", "-d", "many=3")
        eventually(lambda: len(running("many")) == 3, "three tasks run", 180)
        before = {task["ID"] for task in running("many")}
        docker("service", "update", "-d", "--no-resolve-image", "--env-add", "K=new", "--stop-grace-period", "0s",
               "--update-parallelism", "1", "--update-monitor", "1s", "many")  # fmt: skip
        eventually(
            lambda: api("GET", "/services/many").get("UpdateStatus", {}).get("State") == "completed",
            "the update is complete",
            300,
        )
        after = running("many")
        expect(len(after), 3, "tasks")
        if before & {task["ID"] for task in after}:
            raise Failed("a task was not replaced")
        name = after[0]["Status"]["ContainerStatus"]["ContainerID"]
        expect_in("K=new", inspected(name)["Config"]["Env"])
        docker("service", "rm", "many")
    finally:
        docker("swarm", "leave", "--force", status=None)


def begin(name, *command):
    """Creates and starts a container with the daemon's API."""
    config = {"Image": IMAGE, "Cmd": command, "HostConfig": {"NetworkMode": "none"}}
    api("POST", f"/containers/create?name={name}", config)
    api("POST", f"/containers/{name}/start")


def end(name):
    api("DELETE", f"/containers/{name}?force=1&v=1")


@case("many containers at once", limit=600 + 12 * COUNT)
def many():
    """COUNT containers that run at the same time, started by eight clients."""
    with docker_daemon.no_descriptors(), ThreadPoolExecutor(8) as clients:
        names = [f"many{number}" for number in range(COUNT)]
        list(clients.map(lambda name: begin(name, "sleep", "1000"), names))
        expect(len(api("GET", "/containers/json")), COUNT, "running containers")
        expect(docker("exec", names[-1], "echo", "alive"), "alive")
        list(clients.map(end, names))
        docker_daemon.leaves_nothing()


@case("rounds of create and delete", limit=600 + 12 * COUNT * ROUNDS)
def rounds():
    """ROUNDS times COUNT containers, created, started and deleted."""
    with docker_daemon.no_descriptors(), ThreadPoolExecutor(4) as clients:
        for _ in range(ROUNDS):
            names = [f"round{number}" for number in range(COUNT)]
            list(clients.map(lambda name: begin(name, "true"), names))
            list(clients.map(end, names))
        docker_daemon.leaves_nothing()


@case("nothing is left behind")
def nothing_left():
    docker_daemon.leaves_nothing()


@case("nothing is left behind with user namespaces", group="userns-remap")
def nothing_left_remapped():
    docker_daemon.leaves_nothing()


@case("live restore over a restart of the daemon", group="live-restore", limit=400)
def live_restore():
    start(*shell("i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.2; done"))
    start("-t", *shell("sleep 1000"), name="terminal")
    start(*shell("sleep 1; exit 4"), name="brief")
    pid = state()["Pid"]
    daemon = docker_daemon.opened.current
    daemon.stop()
    if not os.path.exists(f"/proc/{pid}"):
        raise Failed("the container ended with the daemon")
    time.sleep(2)
    daemon.start()
    expect((state()["Pid"], state()["Status"]), (pid, "running"), "the container")
    first = docker("exec", "box", "cat", "/count")
    eventually(lambda: docker("exec", "box", "cat", "/count") != first, "it counts on")
    expect(docker("exec", "-t", "terminal", "tty"), "/dev/pts/1")
    # The exit code is lost: a restarted containerd forgets a task that has no process.
    expect(state("brief")["Status"], "exited", "state of one that ended meanwhile")
    docker("stop", "-t", "0", "box")
    expect(state()["ExitCode"], 137, "exit code")
