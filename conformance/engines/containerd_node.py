# SPDX-License-Identifier: Apache-2.0
"""The article on Kubernetes: a node gets swrunc and loses it again, by the script and the pod of the DaemonSet."""

import re
import shutil
import textwrap

import containerd_cri
import containerd_daemon
from containerd_cri import CONFIG, EXITED, NODE, container, cri, execute, pod, status
from containerd_daemon import IMAGE, VERSION
from harness import Failed, call, case, eventually, expect, expect_in, needs_swrunc
from page import BINARY, block

RECORDS = "/run/containerd/runc/k8s.io"
PLAIN = f"version = {VERSION}\n"


def scratch():
    return containerd_daemon.current["scratch"]


def installed():
    return scratch() / "node/swrunc"


def config():
    return (scratch() / "config.toml").read_text()


def payload():
    """The files of the DaemonSet's image: the binary, and the script with the paths of this containerd."""
    folder = scratch() / "node"
    folder.mkdir(exist_ok=True)
    shutil.copy2(containerd_daemon.current["runtime"].path, folder / "payload")
    script = block(
        "kubernetes/node.sh",
        (BINARY, installed()),
        ("/etc/containerd/config.toml", scratch() / "config.toml"),
        ("systemctl restart containerd", f"systemctl restart {containerd_daemon.current['unit'].name}"),
        ("    containerd --config", f"    {shutil.which('containerd')} --config"),
    )
    (folder / "node.sh").write_text(script)
    return folder


def daemonset(action):
    """Runs the pod of the DaemonSet as the kubelet would; returns its container."""
    text = block("kubernetes/daemonset.yaml", (BINARY, installed()))
    match = re.search(r"command: \[sh, -ec\]\n +args:\n +- \|\n((?: {14}.*\n)+)", text)
    if not match or "hostPID: true" not in text or "privileged: true" not in text:
        raise Failed(f"the DaemonSet's commands are not found\n{text}")
    folder = payload()
    sandbox, sandbox_config = pod(f"node-{action}", handler="", logs=folder, privileged=True, pid=NODE)
    made = cri(
        "CreateContainer",
        pod_sandbox_id=sandbox,
        config={
            "metadata": {"name": "node"},
            "image": {"image": IMAGE},
            "command": ["sh", "-ec", textwrap.dedent(match[1])],
            "envs": [{"key": "ACTION", "value": action}],
            "log_path": f"{action}.log",
            "mounts": [
                {"container_path": "/swrunc", "host_path": str(folder / "payload"), "readonly": True},
                {"container_path": "/node.sh", "host_path": str(folder / "node.sh"), "readonly": True},
            ],
            "linux": {"security_context": {"privileged": True, "namespace_options": {"pid": NODE}}},
        },
        sandbox_config=sandbox_config,
    )["container_id"]
    cri("StartContainer", container_id=made)
    return made


def ready(identifier):
    """What the DaemonSet's readiness probe asks; fails if the container has ended."""
    if found := status(identifier).get("state") == EXITED:
        raise Failed(f"the pod ended: {found}\n{log()}")
    probe = cri("ExecSync", container_id=identifier, cmd=["test", "-e", "/tmp/done"], timeout=60)
    return probe.get("exit_code", 0) == 0


def log():
    return "\n".join(file.read_text() for file in sorted((scratch() / "node").glob("*.log")))


def listed():
    # What it says of other containers is on standard error.
    return call("sh", "-c", f"'{installed()}' --root {RECORDS} list --quiet 2>/dev/null").split()


@case("CRI, a node gets swrunc and loses it again", group="node", limit=500)
def roll_out():
    needs_swrunc()
    before = config()
    first = container(pod("first", handler=""), "first", "sleep", "1000")
    try:
        pod("early")
        raise Failed("the handler is there before the roll-out")
    except Failed as error:
        expect_in('no runtime for "swrunc" is configured', str(error))

    installer = daemonset("install")
    eventually(lambda: reached(ready, installer), "the roll-out is ready", 200, 1)
    expect("# begin of swrunc" in config(), True, "a section of swrunc")
    sandbox = pod("one")
    one = container(sandbox, "one", "sleep", "1000")
    expect(execute(one, "echo entered"), "entered")
    expect_in(one, listed())
    expect(first in listed() or installer in listed(), False, "a container of runc is listed")
    expect(execute(first, "echo goes on"), "goes on")

    pid = containerd_pid()
    text = config()
    call("cp", scratch() / "node/payload", f"{installed()}.new")
    call("sh", scratch() / "node/node.sh", "install")
    expect((config(), containerd_pid()), (text, pid), "what a second roll-out leaves as it is")

    said = call("sh", scratch() / "node/node.sh", "remove", status=1)
    expect_in(one, said, "what is left")
    expect(config(), text, "the configuration while containers are left")
    cri("StopPodSandbox", pod_sandbox_id=sandbox[0])
    cri("RemovePodSandbox", pod_sandbox_id=sandbox[0])
    call("sh", scratch() / "node/node.sh", "remove")
    expect(config(), before, "the configuration afterwards")
    expect(installed().exists(), False, "the binary is there")
    expect(eventually(lambda: reached(execute, first, "echo goes on"), "containerd answers"), "goes on")


def containerd_pid():
    return call("systemctl", "show", "--property=MainPID", "--value", containerd_daemon.current["unit"].name)


def reached(function, *arguments):
    """Calls it; nothing while containerd is being restarted."""
    try:
        return function(*arguments)
    except Failed as error:
        if "UNAVAILABLE" in str(error) or "connect" in str(error):
            return None
        raise


def opened(runtime):
    """A containerd whose configuration does not know swrunc."""
    return containerd_cri.opened(runtime, lambda runtime: PLAIN + CONFIG)
