# SPDX-License-Identifier: Apache-2.0
"""Pods through containerd's CRI service, requested as by the kubelet: the systemd driver, a handler."""

import contextlib
import os
import pathlib
import time

import containerd_daemon
from containerd_daemon import IMAGE, SOCKET, VERSION, article_block, ctr
from harness import (
    Failed,
    NotRun,
    call,
    case,
    cgroups,
    eventually,
    expect,
    expect_in,
    mounts,
    needs_swrunc,
    nothing_left,
    processes,
    states,
)
from page import block

PAUSE = "docker.io/local/pause:1"
# Beside the lines of the article.
IMAGES = {
    2: '[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "docker.io/local/pause:1"\n',
    3: '[plugins."io.containerd.cri.v1.images".pinned_images]\n  sandbox = "docker.io/local/pause:1"\n',
}
CNI = """
[plugins."{section}".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{{scratch}}/cni"
"""
SECTION = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime"}[VERSION]
CONFIG = IMAGES[VERSION] + CNI.format(section=SECTION)
NETWORK = """
{{
  "cniVersion": "0.4.0", "name": "engines",
  "plugins": [{{
    "type": "ptp",
    "ipam": {{"type": "host-local", "dataDir": "{scratch}/addresses", "ranges": [[{{"subnet": "10.89.7.0/24"}}]]}}
  }}]
}}
"""
SLICE = "engines-pods.slice"
EXITED = 2
# enum values of the API
CONTAINER, NODE = 1, 2
RUNTIME_DEFAULT = 0
MAPS = [{"host_id": 300000, "container_id": 0, "length": 65536}]

current = {}


def cri(method, **values):
    if "client" not in current:
        raise NotRun("no python3-grpcio")
    return current["client"].call(method, **values)


def pod(name="pod", handler="swrunc", logs="", privileged=False, **options):
    """Runs a pod; returns its ID and its config."""
    config = {
        "metadata": {"name": name, "uid": f"uid-{name}", "namespace": "default"},
        "log_directory": str(logs),
        # As in the kubelet: a pod that shares the host's network has its host name.
        "hostname": "" if options.get("network") == NODE else name,
        "linux": {
            "cgroup_parent": SLICE,
            "security_context": {"namespace_options": options, "privileged": privileged},
        },
    }
    made = cri("RunPodSandbox", config=config, runtime_handler=handler)
    return made["pod_sandbox_id"], config


def container(sandbox, name, *command, resources=None, **security):
    """Creates and starts a container of a pod; returns its ID."""
    identifier, config = sandbox
    options = config["linux"]["security_context"]["namespace_options"]
    linux = {"resources": resources or {}, "security_context": {"namespace_options": options, **security}}
    made = cri(
        "CreateContainer",
        pod_sandbox_id=identifier,
        config={"metadata": {"name": name}, "image": {"image": IMAGE}, "command": list(command), "linux": linux},
        sandbox_config=config,
    )["container_id"]
    cri("StartContainer", container_id=made)
    return made


def execute(identifier, text, status=0):
    """Runs a shell script in a container; returns its output."""
    said = cri("ExecSync", container_id=identifier, cmd=["sh", "-c", text], timeout=60)
    if said.get("exit_code", 0) != status:
        raise Failed(f"status {said.get('exit_code', 0)}, expected {status}, of {text}\n{said}")
    return (said.get("stdout", "") + said.get("stderr", "")).strip()


def status(identifier):
    return cri("ContainerStatus", container_id=identifier)["status"]


def remove():
    for one in cri("ListPodSandbox").get("items", []):
        cri("StopPodSandbox", pod_sandbox_id=one["id"])
        cri("RemovePodSandbox", pod_sandbox_id=one["id"])


@case("CRI, a pod and containers that share its namespaces", group="cri", limit=300)
def shared():
    expect(cri("Version", version="v1")["runtime_name"], "containerd")
    sandbox = pod(pid=CONTAINER)
    web = container(sandbox, "web", "sh", "-c", "mkdir /www; echo served >/www/page; httpd -f -p 80 -h /www")
    other = container(sandbox, "other", "sleep", "1000")
    get = "wget -T 20 -qO- http://127.0.0.1/page"
    eventually(lambda: "served" in execute(other, f"{get} || true"), "one container sees the other")
    links = "for x in net ipc uts pid mnt; do readlink /proc/self/ns/$x; done"
    first, second = execute(web, links).splitlines(), execute(other, links).splitlines()
    expect(first[:3], second[:3], "namespaces of the pod")
    expect(set(first[3:]) & set(second[3:]), set(), "namespaces of a container")
    expect(execute(web, "hostname; ip -4 addr show eth0 | grep -c inet"), "pod\n1")
    expect_in(f"cri-containerd-{web}.scope", str(cgroups(rf"{web}\.scope$")))
    execute(other, "exit 9", status=9)
    cri("StopContainer", container_id=other, timeout=0)
    expect((status(other)["state"], status(other)["exit_code"]), (EXITED, 137), "state")
    cri("RemoveContainer", container_id=other)


@case("CRI, a pod with one pid namespace", group="cri", limit=300)
def one_pid_namespace():
    sandbox = pod()
    container(sandbox, "first", "sleep", "1234")
    second = container(sandbox, "second", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done")
    expect_in("sleep 1234", execute(second, "ps -o args"))
    time.sleep(1)
    cri("StopContainer", container_id=second, timeout=60)
    expect(status(second)["exit_code"], 3, "exit code")


@case("CRI, the host's namespaces", group="cri", limit=300)
def host_namespaces():
    sandbox = pod(network=NODE, pid=NODE, ipc=NODE)
    one = container(sandbox, "one", "sleep", "1000")
    for name in ("net", "pid", "ipc"):
        expect(execute(one, f"readlink /proc/self/ns/{name}"), os.readlink(f"/proc/self/ns/{name}"), name)


@case("CRI, limits, update, stats and an OOM kill", group="cri", limit=300)
def limits():
    sandbox = pod(pid=CONTAINER)
    one = container(
        sandbox, "one", "sleep", "1000",
        resources={"memory_limit_in_bytes": 64 << 20, "cpu_quota": 50000, "cpu_period": 100000},
    )  # fmt: skip
    folder = pathlib.Path(cgroups(rf"cri-containerd-{one}\.scope$").pop())
    expect((folder / "memory.max").read_text(), f"{64 << 20}\n", "memory.max")
    expect((folder / "cpu.max").read_text(), "50000 100000\n", "cpu.max")
    cri("UpdateContainerResources", container_id=one, linux={"memory_limit_in_bytes": 48 << 20, "cpu_shares": 512})
    expect((folder / "memory.max").read_text(), f"{48 << 20}\n", "memory.max")
    stats = cri("ContainerStats", container_id=one)["stats"]
    expect(stats["memory"]["usage_bytes"]["value"] > 0, True, "memory in use")
    expect(stats["cpu"]["usage_core_nano_seconds"]["value"] > 0, True, "time used")
    oom = container(sandbox, "oom", "tail", "/dev/zero", resources={"memory_limit_in_bytes": 32 << 20})
    eventually(lambda: status(oom).get("state") == EXITED, "it ended")
    expect((status(oom)["exit_code"], status(oom)["reason"]), (137, "OOMKilled"), "how it ended")


@case("CRI, rights", group="cri", limit=300)
def rights():
    sandbox = pod(pid=CONTAINER)
    one = container(
        sandbox, "one", "sleep", "1000",
        readonly_rootfs=True, no_new_privs=True, seccomp={"profile_type": RUNTIME_DEFAULT},
        run_as_user={"value": 1000}, supplemental_groups=[77],
        masked_paths=["/proc/keys"], readonly_paths=["/proc/sys"], capabilities={"drop_capabilities": ["ALL"]},
    )  # fmt: skip
    expect_in("Read-only", execute(one, "echo x >/x", status=1))
    expect(execute(one, "id -u; id -G; cat /proc/keys | wc -c"), "1000\n0 77\n0")
    said = execute(one, "cat /proc/self/status")
    for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t0000000000000000"):
        expect_in(line, said)
    all_rights = container(sandbox, "all", "sleep", "1000", privileged=False, capabilities={"add_capabilities": ["ALL"]})
    expect_in("CapEff:\t000001ffffffffff", execute(all_rights, "cat /proc/self/status"))
    if os.path.exists("/sys/kernel/security/apparmor/profiles"):
        expect_in("cri-containerd.apparmor.d", execute(one, "cat /proc/self/attr/current"))


@case("CRI, a pod in a user namespace", group="cri", limit=300)
def user_namespace():
    sandbox = pod(pid=CONTAINER, userns_options={"uids": MAPS, "gids": MAPS})
    one = container(sandbox, "one", "sleep", "1000", resources={"memory_limit_in_bytes": 64 << 20})
    said = execute(one, "cat /proc/self/uid_map; id -u; stat -c %u /bin/busybox; echo x >/x; stat -c %u /x")
    expect(said.split(), ["0", "300000", "65536", "0", "0", "0"])
    other = container(sandbox, "other", "sleep", "1000")
    expect(execute(one, "readlink /proc/self/ns/user"), execute(other, "readlink /proc/self/ns/user"))
    expect(str(pathlib.Path(f"/proc/{pid(one)}").stat().st_uid), "300000", "owner of the process")
    expect_in("denied", execute(one, "mount -t tmpfs none /tmp || true"))


def pid(identifier):
    lines = ctr("--namespace", "k8s.io", "tasks", "ls").splitlines()
    return next(line.split()[1] for line in lines if line.startswith(identifier))


@case("CRI, the article's proof that swrunc is used", group="cri", limit=300)
def proves():
    needs_swrunc()
    mine = [container(pod(f"pod-{name}", handler=name), "one", "sleep", "1000") for name in ("swrunc", "")]
    other = container(pod("other", handler="runc"), "other", "sleep", "1000")
    said = call("sh", "-ec", block("containerd/proof-cri.sh"))
    listed = [line.split()[0] for line in said.splitlines() if " running " in line]
    expect(set(mine) - set(listed), set(), "containers of swrunc and of the default that are not listed")
    expect(other in listed, False, "a container of runc's is listed")


@case("CRI, a runtime handler that is not there", group="cri")
def no_handler():
    try:
        cri("RunPodSandbox", config={"metadata": {"name": "x", "uid": "x", "namespace": "x"}}, runtime_handler="none")
    except Failed as error:
        expect_in("none", str(error))
    else:
        raise Failed("the pod runs")


@case("CRI, what cannot be started", group="cri", limit=300)
def failures():
    sandbox = pod(pid=CONTAINER)
    try:
        container(sandbox, "one", "no-such-program")
    except Failed as error:
        expect_in("executable file not found", str(error))
    else:
        raise Failed("the container runs")


@case("CRI, nothing is left behind", group="cri")
def nothing():
    remove()

    def leftovers():
        found = [f"process: {line}" for line in processes("containerd-shim-runc-v2").values()]
        found += [f"mount: {place}" for place in mounts("/io.containerd.runtime.v2.task/")]
        found += [f"state: {path}" for path in states("/run/containerd/runc/k8s.io")]
        found += [f"network: {path}" for path in pathlib.Path("/run/netns").glob("cni-*")]
        return found + [f"cgroup: {name}" for name in cgroups(r"cri-containerd-|containerd-[0-9a-f]{64}")]

    nothing_left(leftovers)


@contextlib.contextmanager
def opened(runtime, configuration=lambda runtime: article_block(runtime) + CONFIG):
    """A containerd with its CRI service, the images of a pod, and a separate network."""
    try:
        import cri as client
    except ImportError:
        yield lambda word: None
        return
    images = {IMAGE: ["/bin/sh"], PAUSE: ["/bin/sleep", "100000"]}
    files = {"cni/10-engines.conflist": NETWORK}
    with containerd_daemon.opened(runtime, images, configuration(runtime), "k8s.io", files):
        current["client"] = client.Client(SOCKET)
        try:
            cri("Version", version="v1")
            yield lambda word: remove()
        except Failed as error:
            raise SystemExit(f"{error}\n{containerd_daemon.current['unit'].log()}") from None
        finally:
            with contextlib.suppress(Failed):
                remove()
            current["client"].close()
