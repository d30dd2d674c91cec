# SPDX-License-Identifier: Apache-2.0
"""A dockerd of our own: its own data, socket and configuration, with the runtime as the default one."""

import contextlib
import http.client
import json
import os
import pathlib
import socket
import subprocess

from harness import (
    BUSYBOX,
    Failed,
    Unit,
    call,
    cgroups,
    eventually,
    mounts,
    nothing_left,
    processes,
    scratch_folder,
    states,
)

IMAGE = "bb"
SOCKET = pathlib.Path("/run/engines-docker.sock")
EXEC_ROOT = pathlib.Path("/run/engines-docker")
UNIT = "engines-docker"
BRIDGES = ("docker0", "docker_gwbridge")


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(SOCKET))


def api(method, path, content=None):
    """Asks the daemon without its client, which takes a second on an emulated machine."""
    connection = Connection("docker", timeout=120)
    with contextlib.closing(connection):
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        text = answer.read()
    if answer.status >= 400:
        raise Failed(f"{method} {path}: {text.decode()}")
    return json.loads(text) if text else None


def docker(*arguments, **options):
    return call("docker", *arguments, **options)


def run(*arguments, **options):
    """Runs a container of the test image to its end; gives what it wrote."""
    return docker("run", "--rm", *arguments, **options)


def start(*arguments, name="box"):
    """Starts a container that stays; gives its name."""
    docker("run", "-d", "--name", name, *arguments)
    return name


def inspected(name="box"):
    return api("GET", f"/containers/{name}/json")


def state(name="box"):
    return inspected(name)["State"]


def wait_status(wanted, name="box", seconds=60):
    eventually(lambda: state(name)["Status"] == wanted, f"the container is {wanted}", seconds)


def cgroup(name="box"):
    """The folder of a container's cgroup."""
    line = pathlib.Path(f"/proc/{state(name)['Pid']}/cgroup").read_text().splitlines()[-1]
    return pathlib.Path("/sys/fs/cgroup" + line.split(":", 2)[2])


class Daemon:
    """One dockerd; containers that it left alive are adopted by the next with the same data."""

    def __init__(self, runtime, scratch, **configuration):
        self.scratch = scratch
        self.configuration = {
            "data-root": str(scratch / "data"),
            "exec-root": str(EXEC_ROOT),
            "pidfile": str(scratch / "docker.pid"),
            "hosts": [f"unix://{SOCKET}"],
            "runtimes": {"tested": {"path": runtime.path}},
            "default-runtime": "tested",
            "shutdown-timeout": 5,
            **configuration,
        }
        self.unit = None
        self.starts = 0

    def start(self):
        file = self.scratch / "daemon.json"
        file.write_text(json.dumps(self.configuration))
        self.starts += 1
        # Containers outlive the daemon where it is told to let them; BuildKit calls the first runc of PATH.
        self.unit = Unit(
            f"{UNIT}-{os.getpid()}-{self.starts}",
            *("dockerd", "--config-file", file),
            Type="notify",
            KillMode="process",
            Delegate="yes",
            TimeoutStartSec="240",
            TimeoutStopSec="60",
            Environment=f"PATH={self.scratch}/path:{os.environ['PATH']}",
        )

    def stop(self):
        if self.unit:
            self.unit.stop()
            eventually(lambda: not SOCKET.exists() or not processes(str(self.scratch)), "dockerd ended")


def remove_containers():
    for container in api("GET", "/containers/json?all=1"):
        api("DELETE", f"/containers/{container['Id']}?force=1&v=1")


def leftovers(runtime):
    """What containers, and the runtime, left behind, though none is there any more."""
    own = f"containerd --config {EXEC_ROOT}/"
    found = [f"process: {line}" for line in processes(f"{EXEC_ROOT}/").values() if not line.startswith(own)]
    found += [f"process: {line}" for line in processes(runtime.path).values() if __file__ not in line]
    found += [f"mount: {place}" for place in mounts("/overlay2/") if "engines-docker" in place]
    found += [f"cgroup: {name}" for name in cgroups(r"/docker-[0-9a-f]{12}|/docker/[0-9a-f]{12}")]
    for root in EXEC_ROOT.glob("runtime-*/*"):
        found += [f"state: {path}" for path in states(root)]
    return found


@contextlib.contextmanager
def own_network():
    """Puts the firewall back, and removes the bridges that were not there before."""
    had = {bridge for bridge in BRIDGES if os.path.exists(f"/sys/class/net/{bridge}")}
    rules = {tool: call(f"{tool}-save", status=None) for tool in ("iptables", "ip6tables")}
    try:
        yield
    finally:
        for bridge in BRIDGES:
            if bridge not in had and os.path.exists(f"/sys/class/net/{bridge}"):
                call("ip", "link", "delete", bridge, status=None)
        for tool, text in rules.items():
            call(f"{tool}-restore", stdin=text + "\n", status=None)


@contextlib.contextmanager
def opened(runtime, **configuration):
    """A daemon with the test image, for a group of cases."""
    with scratch_folder("engines-docker") as scratch, own_network():
        os.environ.update(DOCKER_HOST=f"unix://{SOCKET}", DOCKER_CONFIG=str(scratch / "client"))
        (scratch / "path").mkdir()
        (scratch / "path/runc").symlink_to(runtime.path)
        daemon = Daemon(runtime, scratch, **configuration)
        opened.current = daemon
        try:
            daemon.start()
            tar = subprocess.Popen(["tar", "-C", BUSYBOX, "-c", "."], stdout=subprocess.PIPE)
            subprocess.run(
                ["docker", "import", "-", IMAGE], stdin=tar.stdout, check=True, capture_output=True
            )
            yield lambda word: settle(daemon, word)
        except Failed as error:
            raise SystemExit(f"{error}\n{daemon.unit.log() if daemon.unit else ''}") from None
        finally:
            with contextlib.suppress(Failed, OSError):
                remove_containers()
            daemon.stop()
            call("rm", "-rf", EXEC_ROOT, SOCKET, status=None)


def settle(daemon, word):
    """After each case there is no container; where one failed, what the daemon said is shown."""
    if word == "FAILED":
        told = [line for line in daemon.unit.log().splitlines() if "level=info" not in line]
        print(*(f"    dockerd: {line[:300]}" for line in told[-6:]), sep="\n", flush=True)
    remove_containers()


def leaves_nothing(runtime):
    """The last case of a group."""
    remove_containers()
    nothing_left(lambda: leftovers(runtime))
