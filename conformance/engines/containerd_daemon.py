# SPDX-License-Identifier: Apache-2.0
"""A separate containerd: its own data, socket and configuration, and images made of busybox."""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import tarfile

from harness import BUSYBOX, Failed, Unit, call, eventually, processes, scratch_folder
from page import BINARY, block, extended, linked

IMAGE = "docker.io/local/bb:1"
FOLDER = "/run/engines-containerd"
SOCKET = f"{FOLDER}/containerd.sock"
# The version of the configuration file: that of the article's block.
VERSION = 3 if shutil.which("containerd") and re.search(r" v?2\.\d+\.\d", call("containerd", "--version")) else 2
BASE = """
root = "{scratch}/root"
state = "{folder}/state"
"""
LISTENERS = """
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
"""

current = {}


def article_block(runtime):
    """The article's lines for this version of containerd."""
    return block(f"containerd/config-{VERSION}.toml", (BINARY, runtime.path))


def ctr(*arguments, **options):
    return call("ctr", "--address", SOCKET, *arguments, **options)


def make_image(path, tag, command):
    """An image in the format of `docker save`."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(BUSYBOX, arcname=".")
    config = json.dumps(
        {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "config": {"Cmd": command},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]},
        }
    )
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}])
    with tarfile.open(path, "w") as tar:
        for name, data in (("config.json", config), ("layer.tar", layer.getvalue()), ("manifest.json", manifest)):
            data = data if isinstance(data, bytes) else data.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@contextlib.contextmanager
def opened(runtime, images, configuration, namespace="default", files=()):
    """Runs containerd with images (each a tag and its command), and with its files in a folder on the disk.

    The configuration begins with its version.
    """
    current["runtime"] = runtime
    os.makedirs(FOLDER, exist_ok=True)
    with scratch_folder("engines-containerd") as scratch:
        places = {"scratch": scratch, "socket": SOCKET, "folder": FOLDER, "runtime": runtime.path}
        for name, text in dict(files).items():
            (scratch / name).parent.mkdir(exist_ok=True)
            (scratch / name).write_text(text.format(**places))
        text = extended(configuration.format(**places), f"version = {VERSION}", BASE.format(**places))
        (scratch / "config.toml").write_text(text + LISTENERS.format(**places))
        os.environ["PATH"] = linked(runtime.path, scratch / "commands")
        unit = Unit(
            f"engines-containerd-{os.getpid()}", shutil.which("containerd"), "--config", scratch / "config.toml",
            # containerd finds its shim there.
            Environment=f"PATH={os.environ['PATH']}",
            Type="notify", Delegate="yes", KillMode="process", TimeoutStartSec="240",
        )  # fmt: skip
        current.update(unit=unit, scratch=scratch)
        try:
            for tag, command in images.items():
                make_image(scratch / "image.tar", tag, command)
                ctr("--namespace", namespace, "images", "import", scratch / "image.tar")
            yield
        finally:
            unit.stop()
            with contextlib.suppress(Failed):
                eventually(lambda: not processes(f"{scratch}/config.toml"), "containerd ended")
            call("rm", "-rf", FOLDER, status=None)
