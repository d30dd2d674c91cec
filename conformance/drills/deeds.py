# SPDX-License-Identifier: Apache-2.0
"""The commands of the drills, the status that a container has before each, and what must be true when it succeeds."""

import json
import time

import ground
from ground import BUNDLE, STATE

ROOTFS = BUNDLE / "rootfs"
# The file `ran` shows that the container's own program has run.
PROGRAM = ["sh", "-c", "echo ran >/ran; exec sleep 1000"]
COMMANDS = {
    "create": (["create", "--bundle", str(BUNDLE), "box"], None),
    "run --detach": (["run", "--detach", "--bundle", str(BUNDLE), "box"], None),
    "start": (["start", "box"], "created"),
    "exec": (["exec", "box", "sh", "-c", "echo done >/done"], "running"),
    "state": (["state", "box"], "running"),
    "list": (["list", "--format", "json"], "running"),
    "ps": (["ps", "--format", "json", "box"], "running"),
    "pause": (["pause", "box"], "running"),
    "resume": (["resume", "box"], "paused"),
    "update": (["update", "--pids-limit", "30", "box"], "running"),
    "kill": (["kill", "box", "KILL"], "running"),
    "delete": (["delete", "box"], "stopped"),
    "delete --force": (["delete", "--force", "box"], "running"),
}
# What may be true of the container when a command has failed half-way.
HALFWAY = {"start": {"created", "running"}, "pause": {"running", "paused"}, "resume": {"paused", "running"},
           "kill": {"running", "stopped"}, "delete": {"stopped", None}, "delete --force": {"running", "stopped", None}}


def config():
    made = ground.base()
    made["process"]["args"] = PROGRAM
    if "pids" in ground.controllers():
        made["linux"]["resources"]["pids"] = {"limit": 50}
    return made


def status_of(site, name="box"):
    """What `state` says; nothing if it fails."""
    done = site.call("state", name)
    try:
        return json.loads(done.out)["status"] if done.status == 0 else None
    except (ValueError, KeyError):
        return f"no state: {done.out!r}"


def becomes(holds, seconds=10):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def ready(site, status, made=None):
    """A container in this status."""
    site.make_bundle(made or config())
    steps = {None: [], "created": ["create"], "running": ["create", "start"], "paused": ["create", "start", "pause"],
             "stopped": ["create", "start", "kill"]}[status]
    for step in steps:
        done = site.call(*COMMANDS[step][0])
        if done.status:
            return [f"{done.told}: status {done.status}: {done.err!r}"]
    if "start" in steps and not becomes((ROOTFS / "ran").exists):
        return ["the program of the container does not run"]
    if status and not becomes(lambda: status_of(site) == status):
        return [f"the container is {status_of(site)}, not {status}"]
    return []


def deed(site, name, done):
    """What is not true although the command has succeeded."""
    now = status_of(site)
    if name == "create":
        if now != "created" or (ROOTFS / "ran").exists():
            return [f"create has succeeded: the container is {now}, its program has run: {(ROOTFS / 'ran').exists()}"]
        started = site.call("start", "box")
        if started.status or not becomes((ROOTFS / "ran").exists):
            return [f"create has succeeded, and start says {started.status}: {started.err!r}"]
        return []
    if name in ("run --detach", "start"):
        ran = becomes((ROOTFS / "ran").exists)
        told = f"{name} has succeeded: the container is {now}, its program ran: {ran}"
        return [] if now == "running" and ran else [told]
    if name == "exec":
        return [] if (ROOTFS / "done").exists() and now == "running" else [f"exec has succeeded without a deed; {now}"]
    if name in ("delete", "delete --force"):
        return site.left() + ([f"{name} has succeeded: the container is {now}"] if now else [])
    if name in ("state", "list", "ps"):
        return answer(name, done)
    if name == "update":
        limits = list(ground.sandbox.CGROUPS.glob("**/part/box/pids.max"))
        wrong = [path for path in limits if path.read_text().strip() != "30"]
        unseen = not limits and "pids" in ground.controllers()
        return [f"update has succeeded: {wrong or 'no limit'} is not 30"] if wrong or unseen else []
    if name == "kill":
        stopped = becomes(lambda: status_of(site) == "stopped")
        return [] if stopped else ["kill KILL has succeeded: the container is not stopped"]
    expected = {"pause": "paused", "resume": "running"}[name]
    return [] if now == expected else [f"{name} has succeeded: the container is {now}"]


def answer(name, done):
    """What is wrong with an answer about one running container."""
    try:
        told = json.loads(done.out)
        right = {"state": lambda: told["id"] == "box" and told["status"] == "running" and told["pid"] > 0,
                 "list": lambda: [(entry["id"], entry["status"]) for entry in told] == [("box", "running")],
                 "ps": lambda: len(told) == 1 and told[0] > 0}[name]()
    except (ValueError, KeyError, TypeError, IndexError):
        right = False
    return [] if right else [f"{name} has succeeded and says {done.out[:300]!r}"]


def unharmed(site, name, before):
    """What is wrong with the container after its command has failed."""
    now = status_of(site)
    allowed = HALFWAY.get(name, {before} if before else {None})
    if now not in allowed:
        return [f"{name} has failed: the container was {before} and is {now}"]
    listed = site.call("list", "--format", "json")
    if listed.status:
        return [f"{name} has failed, and list after it: {listed.err!r}"]
    return []


def names_a_file(done, *words):
    """An error for a person: one that says which file, and what is wrong with it."""
    text = done.err.decode("utf-8", "replace")
    if done.status != 1:
        return [f"{done.told}: failed with status {done.status}, not 1"]
    if str(STATE.parent) not in text or not any(word in text for word in words):
        return [f"{done.told}: the error names no file, or not what is wrong with it: {text.strip()[:400]}"]
    return []
