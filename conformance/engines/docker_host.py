# SPDX-License-Identifier: Apache-2.0
"""What a dockerd leaves on a machine: what belongs to containers, and what is restored at the end."""

import collections
import contextlib
import os
import pathlib

from harness import call, cgroups, mounts, processes, states

EXEC_ROOT = pathlib.Path("/run/engines-docker")
# For machines without systemd, which would give it a slice.
CGROUP_PARENT = "engines-docker"
BRIDGES = ("docker0", "docker_gwbridge")
# Made by dockerd and containerd wherever their own folders are.
PLACES = (
    "/run/containerd",
    "/run/docker",
    "/etc/docker/key.json",
    "/etc/docker",
    "/opt/containerd",
    "/var/lib/docker",
)


def daemons(scratch):
    """The pids of dockerd and of its containerd."""
    files = {"dockerd": scratch / "docker.pid", "containerd": EXEC_ROOT / "containerd/containerd.pid"}
    # If the machine's own containerd runs, dockerd starts none.
    return {name: int(file.read_text()) for name, file in files.items() if file.exists()}


def of_containers(scratch):
    """Everything of containers that exists: processes, mounts, cgroups, states, folders and sockets of shims."""
    # Shims and the runtime are called with paths in the daemon's folders.
    folders = (f"{EXEC_ROOT}/", f"{scratch}/")
    known = daemons(scratch).values()
    found = [f"process: {line}" for part in folders for pid, line in processes(part).items() if pid not in known]
    for folder in cgroups(r"/docker-[0-9a-f]{12}|docker/[0-9a-f]{12}"):
        found.append(f"cgroup: {folder}")
        with contextlib.suppress(OSError):
            inside = pathlib.Path(folder, "cgroup.procs").read_text().split()
            found += [f"process in {folder}: {pid}" for pid in inside]
    found += [
        f"mount: {place}"
        for part in folders
        for place in mounts(part)
        # The daemon's reference to the host's network, from the first container that uses it.
        if place != f"{EXEC_ROOT}/netns/default"
    ]
    for root in EXEC_ROOT.glob("**/runtime-*/*"):
        found += [f"state: {path}" for path in states(root)]
    found += [f"bundle: {path}" for path in EXEC_ROOT.glob("**/io.containerd.runtime.v2.task/*/*")]
    found += [f"socket: {path}" for path in pathlib.Path("/run/containerd/s").glob("*")]
    return collections.Counter(found)


def descriptors(scratch):
    """The open descriptors of dockerd and its containerd, by kind."""
    found = collections.Counter()
    for name, pid in daemons(scratch).items():
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                target = os.readlink(f"/proc/{pid}/fd/{number}")
                # "socket:[4711]"
                found[f"descriptor of {name}: {target if target.startswith('/') else target.split('[')[0]}"] += 1
    return found


@contextlib.contextmanager
def put_back(network):
    """Undoes what dockerd makes outside of its own folders; with `network`, bridges and the firewall as well."""
    had = [place for place in PLACES if os.path.exists(place)]
    with own_network() if network else contextlib.nullcontext():
        try:
            yield
        finally:
            for place in sorted(mounts(f"{EXEC_ROOT}/"), reverse=True):
                call("umount", "--lazy", place, status=None)
            call("rm", "-rf", EXEC_ROOT, *(place for place in PLACES if place not in had), status=None)
            for folder in sorted(cgroups(f"/{CGROUP_PARENT}(/|$)"), reverse=True):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)


@contextlib.contextmanager
def own_network():
    """Restores the firewall, and removes bridges that did not exist before."""
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
