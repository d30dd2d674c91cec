# SPDX-License-Identifier: Apache-2.0
"""A command that is killed at any moment leaves nothing that `delete --force` does not remove."""

import signal
import time

import ground
from ground import BUNDLE, CWD

PID_FILE = str(CWD / "pid")
# Name: the words, the status that the container must have before, and the config.
COMMANDS = {
    "create": (["create", "--bundle", str(BUNDLE), "--pid-file", PID_FILE, "box"], None),
    "run": (["run", "--bundle", str(BUNDLE), "box"], None),
    "run --detach": (["run", "--detach", "--bundle", str(BUNDLE), "--pid-file", PID_FILE, "box"], None),
    "start": (["start", "box"], "created"),
    "exec": (["exec", "box", "sleep", "100"], "running"),
    "exec --detach": (["exec", "--detach", "--pid-file", PID_FILE, "box", "sleep", "100"], "running"),
    "kill": (["kill", "box", "KILL"], "running"),
    "pause": (["pause", "box"], "running"),
    "update": (["update", "--pids-limit", "30", "box"], "running"),
    "delete": (["delete", "box"], "stopped"),
    "delete --force": (["delete", "--force", "box"], "running"),
}


def config_named(name):
    config = {"wide": ground.wide, "mapped": ground.mapped, "base": ground.base}[name]()
    config["process"]["args"] = ["sleep", "1000"]
    # Hooks that take a while are there to be interrupted, too.
    for hook in [hook for hooks in config.get("hooks", {}).values() for hook in hooks]:
        hook |= {"path": "/bin/sleep", "args": ["sleep", "0.005"]}
    return config


def prepare(site, config, status):
    """A container in the status that a command needs."""
    site.make_bundle(config)
    if status is None:
        return []
    done = site.call("create", "--bundle", BUNDLE, "box")
    if done.status == 0 and status != "created":
        done = site.call("start", "box")
    if done.status == 0 and status == "stopped":
        done = site.call("kill", "box", "KILL")
        deadline = time.monotonic() + site.limit
        while b'"stopped"' not in site.call("state", "box").out and time.monotonic() < deadline:
            time.sleep(0.01)
    return [] if done.status == 0 else [f"{done.told}: status {done.status}: {done.err!r}"]


def afterwards(site):
    """Forced deletion works and leaves nothing; then the ID is free."""
    faults = site.delete() + site.left()
    if not faults:
        made = site.call("create", "--bundle", BUNDLE, "box")
        if made.status:
            faults.append(f"the ID is not free again: {made.told}: {made.err!r}")
        faults += site.delete()
    return faults + site.finish()


class Kills:
    repeats = 40  # Moments are met by chance.

    def __init__(self):
        self.seconds = {}

    def prepare(self, site):
        self.site = site

    def whole(self, name, config):
        """How many seconds a command takes that is not killed."""
        # These would wait for the program.
        name = {"run": "run --detach", "exec": "exec --detach"}.get(name, name)
        if (name, config) not in self.seconds:
            words, status = COMMANDS[name]
            prepare(self.site, config_named(config), status)
            began = time.monotonic()
            self.site.call(*words)
            self.seconds[name, config] = time.monotonic() - began
            self.site.delete()
            self.site.finish()
        return self.seconds[name, config]

    def case(self, random):
        name = random.choice(list(COMMANDS))
        config = random.choice(["base", "wide", "wide", "mapped"])
        moment = random.uniform(0, self.whole(name, config) * 1.1)
        return {"command": name, "config": config, "microseconds": int(moment * 1e6),
                "twice": random.random() < 0.3, "second": int(random.uniform(0, 5000))}

    def judge(self, site, case):
        words, status = COMMANDS[case["command"]]
        faults = prepare(site, config_named(case["config"]), status)
        if not faults:
            child = site.start(*words)
            time.sleep(case["microseconds"] / 1e6)
            child.send_signal(signal.SIGKILL)
            child.wait()
            if case["twice"]:
                # The deletion is killed as well.
                child = site.start("delete", "--force", "box")
                time.sleep(case["second"] / 1e6)
                child.send_signal(signal.SIGKILL)
                child.wait()
        return faults + afterwards(site)
