# SPDX-License-Identifier: Apache-2.0
"""A program on a shared volume exchanges directories with links to the host while containers are started with mounts below."""

import ctypes
import os
import shutil
import signal

import ground
from ground import BUNDLE, CANARY, OUTSIDE, PLACE

RENAME_EXCHANGE = 2
VOLUME = PLACE / "volume"
# As mountinfo tells the root of a mount of it: within the tmpfs on /run.
ROOT_OF_OUTSIDE = "/" + str(OUTSIDE.relative_to("/run"))
# What the links lead to: by absolute paths, by relative ones that go above any root, and through links of procfs.
TARGETS = [str(OUTSIDE), "../" * 12 + str(OUTSIDE)[1:], "../../../../../outside", "/proc/self/root" + str(OUTSIDE),
           "/proc/1/root" + str(OUTSIDE), "/proc/self/cwd/../outside"]
# Everything that a container can find is read, and something is written everywhere.
PROGRAM = """
for place in /volume /volume/* /volume/*/* /mnt /made /proc/self/cwd /dev; do
    for file in $place/file $place/deep/file $place/copy/file $place/.secret; do
        [ -p "$file" ] || { [ -f "$file" ] && cat "$file"; }
    done
    echo changed 2>/dev/null >"$place/by-container"
done 2>/dev/null
cat /proc/self/mountinfo
"""
SHAPES = [
    {"mounts": [{"destination": "/volume/DIR/sub", "type": "tmpfs", "source": "tmpfs"}]},
    {"mounts": [{"destination": "/volume/DIR", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}]},
    {"mounts": [{"destination": "/volume/DIR/deep", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}]},
    {"mounts": [{"destination": "/volume/DIR/new/made", "type": "bind", "source": "share", "options": ["bind"]}]},
    {"mounts": [{"destination": "/volume/DIR/deep/file", "type": "bind", "source": "share/file", "options": ["bind"]}]},
    {"mounts": [{"destination": "/volume/DIR/new-file", "type": "bind", "source": "share/file", "options": ["bind"]}]},
    {"mounts": [{"destination": "/volume/DIR/proc", "type": "proc", "source": "proc"},
                {"destination": "/volume/DIR/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}]},
    {"maskedPaths": ["/volume/DIR/file", "/volume/DIR/deep"]},
    {"readonlyPaths": ["/volume/DIR/deep", "/volume/DIR/file"]},
    {"devices": [{"path": "/volume/DIR/null", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0},
                 {"path": "/volume/DIR/file", "type": "c", "major": 1, "minor": 5, "fileMode": 438, "uid": 7, "gid": 7}]},
    {"cwd": "/volume/DIR/new-cwd"},
    {"cwd": "/volume/DIR/deep"},
    {"root": "volume"},  # The root file system itself is shared: its /dev and /etc are exchanged.
]


def exchanging(pairs):
    """A process that exchanges the members of each pair until it is killed."""
    pid = os.fork()
    if pid:
        return pid
    os.nice(5)
    libc = ctypes.CDLL(None)
    names = [(os.fsencode(one), os.fsencode(other)) for one, other in pairs]
    while True:
        for one, other in names:
            libc.renameat2(-100, one, -100, other, RENAME_EXCHANGE)


class Races:
    repeats = 5

    def case(self, random):
        return {"shapes": random.sample(range(len(SHAPES)), random.choice([1, 2, 3])),
                "target": random.choice(TARGETS), "launches": 6, "call": random.choice(["run", "run", "create"])}

    def arrange(self, case):
        """The volume with its pairs, and the config."""
        shutil.rmtree(VOLUME, ignore_errors=True)
        config = ground.base()
        config["process"]["args"] = ["sh", "-c", PROGRAM]
        config["mounts"].append({"destination": "/volume", "type": "bind", "source": str(VOLUME), "options": ["rbind", "rprivate"]})
        pairs = []
        (VOLUME / "a/deep").mkdir(parents=True)
        (VOLUME / "a/file").write_text("volume\n")
        (VOLUME / "a/deep/file").write_text("volume\n")
        (VOLUME / "b").symlink_to(case["target"])
        pairs.append((VOLUME / "a", VOLUME / "b"))
        for number in case["shapes"]:
            shape = SHAPES[number]
            for key, value in shape.items():
                if key == "mounts":
                    config["mounts"] += [{**mount, "destination": mount["destination"].replace("DIR", "a")} for mount in value]
                elif key in ("maskedPaths", "readonlyPaths"):
                    config["linux"][key] += [path.replace("DIR", "a") for path in value]
                elif key == "devices":
                    config["linux"]["devices"] = [{**device, "path": device["path"].replace("DIR", "a")} for device in value]
                elif key == "cwd":
                    config["process"]["cwd"] = value.replace("DIR", "a")
                elif key == "root":
                    # Without the mount on /dev, its nodes and links are made in the image.
                    config["mounts"] = [mount for mount in config["mounts"] if not mount["destination"].startswith("/dev")]
                    for name in ("dev", "etc"):
                        os.symlink(case["target"], BUNDLE / f"rootfs/{name}-link")
                        pairs.append((BUNDLE / f"rootfs/{name}", BUNDLE / f"rootfs/{name}-link"))
        return config, pairs

    def judge(self, site, case):
        site.make_bundle()
        config, pairs = self.arrange(case)
        site.write_config(config)
        racer = exchanging(pairs)
        site.helpers.add(racer)
        faults = []
        try:
            for _ in range(case["launches"]):
                faults += self.launch(site, case)
        finally:
            os.kill(racer, signal.SIGKILL)
            os.waitpid(racer, 0)
            site.helpers.discard(racer)
            shutil.rmtree(VOLUME, ignore_errors=True)
        return faults + site.finish()

    def launch(self, site, case):
        if case["call"] == "run":
            done = site.call("run", "--bundle", BUNDLE, "box")
            faults = site.judge(done, own_status=b"level=error" not in done.err)
        else:
            # The container's output is that of create.
            done = site.call("create", "--bundle", BUNDLE, "box")
            faults = site.judge(done)
            if done.status == 0:
                faults += site.judge(site.call("exec", "box", "sh", "-c", PROGRAM), own_status=True)
                faults += site.judge(site.call("start", "box"))
        if CANARY.encode() in done.out + done.err:
            faults.append(f"{done.told}: the container has read a file of the host")
        for line in done.out.decode(errors="replace").splitlines():
            if " - " in line and line.split()[3].startswith(ROOT_OF_OUTSIDE):
                faults.append(f"{done.told}: the container has a mount of the host: {line}")
        faults += site.changed_outside()
        return faults + site.delete()
