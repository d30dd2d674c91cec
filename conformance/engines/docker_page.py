# SPDX-License-Identifier: Apache-2.0
"""Docker's cases about its article: the proof that swrunc is used, BuildKit's too, and the way back to runc."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile

import docker_daemon
from docker_daemon import IMAGE, api, docker, release
from docker_host import EXEC_ROOT
from docker_run import SLEEP
from harness import NotRun, call, case, eventually, expect, expect_in, needs_swrunc
from page import block

SLOW = """
FROM bb
RUN touch /tmp/begun && sleep 20
"""


def proof(*changes, **options):
    changes = [("/run/docker", EXEC_ROOT), ("busybox", IMAGE), *changes]
    return call("sh", "-ec", block("docker/proof.sh", *changes), **options)


@case("the article's proof that swrunc is used")
def proves():
    needs_swrunc()
    said = proof()
    expect([line for line in said.splitlines() if line == "swrunc"], ["swrunc"] * 2, "the runtime's name")
    expect_in('"status": "running"', said)
    try:
        # The proof is none if it holds for a container of another runtime.
        if docker_daemon.shipped_runtime():
            said = proof(("docker run -d", "docker run -d --runtime shipped"), status=1)
            expect_in("is missing, damaged or of a later version", said, "what swrunc says of runc's record")
    finally:
        docker("rm", "-f", "proof", status=None)


@case("BuildKit's step is one of swrunc's containers", limit=300)
def proves_buildkit():
    needs_swrunc()
    if "buildx" not in docker("info", "--format", "{{range .ClientInfo.Plugins}}{{.Name}} {{end}}"):
        raise NotRun("the client has no buildx")
    expect(call("swrunc", "list", "--quiet"), "", "containers before")
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "Dockerfile").write_text(SLOW)
        command = ["docker", "build", "--pull=false", "-t", "slow", folder]
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as build:
            eventually(lambda: build.poll() is not None or call("swrunc", "list", "--quiet"), "the step is listed", 200)
            expect(build.poll(), None, "the build's status when the step is listed")
            expect(build.wait(200), 0, "status of the build")
    docker("image", "rm", "-f", "slow", status=None)


@case("the article's way back to runc", limit=400)
def back():
    needs_swrunc()
    daemon = docker_daemon.opened.current
    given = daemon.configuration
    docker("create", "--name", "box", *SLEEP)
    try:
        reload(daemon, {**given, "default-runtime": "runc"})
        eventually(lambda: api("GET", "/info")["DefaultRuntime"] == "runc", "runc is the default again")
        docker("start", "box")
        found = api("GET", "/containers/box/json")
        expect((found["HostConfig"]["Runtime"], found["State"]["Status"]), ("swrunc", "running"), "swrunc's container")
        docker("rm", "-f", "box")
        restart(daemon, {key: value for key, value in given.items() if key not in ("runtimes", "default-runtime")})
        expect("swrunc" in api("GET", "/info")["Runtimes"], False, "swrunc is a runtime")
        # Before 23: Unknown runtime specified swrunc.
        told = "unknown or invalid runtime name: swrunc" if release() >= 23 else "nknown runtime specified swrunc"
        expect_in(told, docker("create", "--runtime", "swrunc", IMAGE, status=1))
    finally:
        restart(daemon, given)
    expect(api("GET", "/info")["DefaultRuntime"], "swrunc", "default runtime")


def reload(daemon, configuration):
    """What `systemctl reload docker` does."""
    (daemon.scratch / "daemon.json").write_text(json.dumps(configuration))
    os.kill(int((daemon.scratch / "docker.pid").read_text()), signal.SIGHUP)


def restart(daemon, configuration):
    daemon.configuration = configuration
    daemon.stop()
    daemon.start()
