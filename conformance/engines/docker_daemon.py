# SPDX-License-Identifier: Apache-2.0
"""A separate dockerd: its own data, socket and configuration, with the tested runtime as the default."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

from docker_host import CGROUP_PARENT, EXEC_ROOT, descriptors, of_containers, put_back
from harness import (
    SYSTEMD,
    Failed,
    NotRun,
    Program,
    Unit,
    call,
    eventually,
    nothing_left,
    processes,
    root_filesystem,
    scratch_folder,
)
from page import BINARY, block, linked

IMAGE = "bb"
SOCKET = pathlib.Path("/run/engines-docker.sock")
UNIT = "engines-docker"
# A machine without systemd may be in production use: its network and firewall are not changed.
BARE = {
    "bridge": "none",
    "iptables": False,
    "ip6tables": False,
    "ip-forward": False,
    "ip-masq": False,
    "cgroup-parent": f"/{CGROUP_PARENT}",
}
NO_FORWARDING = "WARNING: IPv4 forwarding is disabled. Networking will not work."
# Limits of cgroup v2, and the corresponding controller and file of v1.
V1 = {
    "memory.max": "memory/memory.limit_in_bytes",
    "memory.swap.max": "memory/memory.memsw.limit_in_bytes",
    "pids.max": "pids/pids.max",
    "cpuset.cpus": "cpuset/cpuset.cpus",
}


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
    # A warning for each container that names no network, even without a bridge.
    return call("docker", *arguments, **options).replace(NO_FORWARDING, "").strip()


def run(*arguments, **options):
    """Runs a container of the test image to its end; returns its output."""
    return docker("run", "--rm", *arguments, **options)


def start(*arguments, name="box"):
    """Starts a container that keeps running; returns its name."""
    docker("run", "-d", "--name", name, *arguments)
    return name


def inspected(name="box"):
    return api("GET", f"/containers/{name}/json")


def state(name="box"):
    return inspected(name)["State"]


def wait_status(wanted, name="box", seconds=60):
    eventually(lambda: state(name)["Status"] == wanted, f"the container is {wanted}", seconds)


def release():
    """The major version of the daemon, or of its client if that is older."""
    client = call("docker", "version", "--format", "{{.Client.Version}}")
    return min(int(version.split(".")[0]) for version in (api("GET", "/version")["Version"], client))


def shipped_runtime():
    """The machine's own runc, if it is installed."""
    return shutil.which("runc", path="/usr/local/sbin:/usr/sbin:/usr/bin")


def everything():
    """All capabilities that this daemon can grant, in the kernel's format."""
    text = pathlib.Path("/proc/self/status").read_text()
    bounding = next(line.split()[1] for line in text.splitlines() if line.startswith("CapBnd"))
    # Docker before 23 knows those up to CAP_AUDIT_READ.
    known = 1 << (41 if release() >= 23 else 38)
    return f"{int(bounding, 16) & (known - 1):016x}"


def needs_metrics():
    """containerd does not read cgroup v1 if one of the kernel's controllers is not mounted."""
    text = pathlib.Path("/proc/self/mountinfo").read_text()
    mounted = {option for line in text.splitlines() if " - cgroup " in line for option in line.split()[-1].split(",")}
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        missing = set(filter(None, line.split(":")[1].split(","))) - mounted
        if missing:
            raise NotRun(f"containerd finds no cgroups where {', '.join(missing)} is not mounted")


def needs_bridge():
    if not SYSTEMD:
        raise NotRun("without systemd the daemon is started without a bridge")


def cgroup(name="box", controller=""):
    """The folder of a container's cgroup."""
    lines = pathlib.Path(f"/proc/{state(name)['Pid']}/cgroup").read_text().splitlines()
    ids, names, path = next(line for line in lines if line.split(":")[1] == controller).split(":", 2)
    return pathlib.Path(f"/sys/fs/cgroup/{controller}{path}")


def limit(file, name="box"):
    """The value of a limit in a container's cgroup, by its cgroup v2 name."""
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return (cgroup(name) / file).read_text().strip()
    if file == "cpu.max":
        files = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")
        return " ".join(v1_limit(file, name) for file in files)
    if file == "cpu.weight":
        return str(1 + (int(v1_limit("cpu/cpu.shares", name)) - 2) * 9999 // 262142)
    if file == "memory.swap.max":
        return str(int(v1_limit(V1[file], name)) - int(v1_limit(V1["memory.max"], name)))
    return v1_limit(V1[file], name)


def v1_limit(path, name):
    controller, file = path.split("/")
    return (cgroup(name, controller) / file).read_text().strip()


def frozen(name="box"):
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return "frozen 1" in (cgroup(name) / "cgroup.events").read_text()
    return v1_limit("freezer/freezer.state", name) == "FROZEN"


class Daemon:
    """One dockerd; containers that it leaves running are adopted by the next one with the same data."""

    def __init__(self, runtime, scratch, **configuration):
        self.scratch = scratch
        self.configuration = {
            **json.loads(block("docker/daemon.json", (BINARY, runtime.path))),
            "data-root": str(scratch / "data"),
            "exec-root": str(EXEC_ROOT),
            "pidfile": str(scratch / "docker.pid"),
            "hosts": [f"unix://{SOCKET}"],
            "shutdown-timeout": 5,
            **({} if SYSTEMD else BARE),
            **configuration,
        }
        if other := shipped_runtime():
            self.configuration["runtimes"]["shipped"] = {"path": other}
        self.unit = None
        self.starts = 0

    def start(self):
        file = self.scratch / "daemon.json"
        file.write_text(json.dumps(self.configuration))
        self.starts += 1
        # BuildKit calls the first runc in PATH.
        path = f"{self.scratch}/path:{os.environ['PATH']}"
        command = ("dockerd", "--config-file", file)
        if not SYSTEMD:
            self.unit = Program(self.scratch / "log", *command, path=path)
            eventually(self.answers, "dockerd answers")
            return
        self.unit = Unit(
            f"{UNIT}-{os.getpid()}-{self.starts}",
            *command,
            Type="notify",
            # With live-restore, containers outlive the daemon.
            KillMode="process",
            Delegate="yes",
            TimeoutStartSec="240",
            TimeoutStopSec="60",
            Environment=f"PATH={path}",
        )

    def answers(self):
        if self.unit.process.poll() is not None:
            raise Failed("dockerd ended")
        with contextlib.suppress(OSError):
            return api("GET", "/version")

    def stop(self):
        if self.unit:
            self.unit.stop()
            eventually(lambda: not SOCKET.exists() or not processes(str(self.scratch)), "dockerd ended")


def remove_containers():
    for container in api("GET", "/containers/json?all=1"):
        api("DELETE", f"/containers/{container['Id']}?force=1&v=1")


@contextlib.contextmanager
def opened(runtime, **configuration):
    """A daemon with the test image, for a group of cases."""
    with scratch_folder("engines-docker") as scratch, put_back(network=SYSTEMD):
        os.environ.update(DOCKER_HOST=f"unix://{SOCKET}", DOCKER_CONFIG=str(scratch / "client"))
        os.environ["PATH"] = linked(runtime.path, scratch / "commands")
        (scratch / "path").mkdir()
        link = (BINARY, runtime.path), ("/usr/local/sbin/runc", scratch / "path/runc")
        call("sh", "-ec", block("docker/buildkit.sh", *link))
        daemon = Daemon(runtime, scratch, **configuration)
        opened.current = daemon
        try:
            daemon.start()
            root = root_filesystem(scratch)
            tar = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
            subprocess.run(
                ["docker", "import", "-", IMAGE], stdin=tar.stdout, check=True, capture_output=True
            )
            daemon.before = of_containers(scratch)
            yield lambda word: settle(daemon, word)
        except Failed as error:
            raise SystemExit(f"{error}\n{daemon.unit.log() if daemon.unit else ''}") from None
        finally:
            with contextlib.suppress(Failed, OSError):
                remove_containers()
            daemon.stop()
            call("rm", "-rf", SOCKET, status=None)


def settle(daemon, word):
    """Removes all containers after each case; if the case failed, shows the daemon's output."""
    if word == "FAILED":
        told = [line for line in daemon.unit.log().splitlines() if "level=info" not in line]
        print(*(f"    dockerd: {line[:300]}" for line in told[-6:]), sep="\n", flush=True)
    remove_containers()


def leaves_nothing():
    """Nothing of containers exists that did not exist before the first one."""
    remove_containers()
    daemon = opened.current
    nothing_left(lambda: list((of_containers(daemon.scratch) - daemon.before).elements()))


@contextlib.contextmanager
def no_descriptors(seconds=30):
    """At the end, dockerd and containerd have no more open descriptors than at the beginning."""
    run(IMAGE, "true")
    scratch = opened.current.scratch
    time.sleep(2)
    before = descriptors(scratch)
    yield
    nothing_left(lambda: list((descriptors(scratch) - before).elements()))
