# SPDX-License-Identifier: Apache-2.0
"""Hostile input: configs, bytes of configs, command lines, and state directories."""

import json
import os
import pathlib
import random as randomness
import re
import subprocess

import ground
import mutation
from ground import BUNDLE, CWD, STATE

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "spec-fixtures/good"


def corpus():
    """(holder, key) pairs of configs with every field, to copy from."""
    return mutation.places(json.loads((FIXTURES / "full.json").read_text()))


def names_outside(text):
    """Whether a config may itself name what is outside of the root file system, and so change it."""
    if '"path": "rootfs"' not in text:
        return True
    return re.search(r'"source": "(/"|[^"]*(link-out|/up|\.\.|/run|rootfs))', text) is not None


LATER = [["state", "box"], ["list"], ["list", "-f", "json"], ["ps", "box"], ["exec", "box", "true"], ["pause", "box"],
         ["resume", "box"], ["events", "--stats", "box"], ["metrics"], ["explain", "--container", "box"], ["mounts", "list", "box"],
         ["devices", "list", "box"], ["exec", "--cwd", "/tmp", "-u", "1", "box", "true"], ["kill", "box", "0"],
         ["update", "--pids-limit", "40", "box"]]


def through_life(site, case, own_status):
    """create, what can be done then, start, and delete --force."""
    made = site.call("create", "--bundle", BUNDLE, "box")
    faults = site.judge(made)
    if made.status:
        # A create that failed has removed everything itself.
        return faults + site.left()
    for words in case["later"]:
        faults += site.judge(site.call(*words), own_status=words[0] == "exec")
    faults += site.judge(site.call("start", "box"))
    for words in case["after"]:
        faults += site.judge(site.call(*words), own_status=words[0] == "exec")
    return faults + site.delete()


def may_die(text):
    """Whether the program in the container may be ended by what the config says."""
    return any(word in text for word in ("rlimits", "seccomp", "landlock", "memory", "personality"))


class Configs:
    """Configs with a few changes, in images with a few changes."""

    def case(self, random):
        document = random.choice([ground.base, ground.wide, ground.wide, ground.mapped])()
        image = []
        if random.random() < 0.35:
            count = random.choice([1, 1, 2])
            image = [[random.choice(ground.IMAGE_PATHS), *random.choice(ground.IMAGE_KINDS)] for _ in range(count)]
        if random.random() < 0.15:
            # The image alone: the launch gets to its end more often.
            config = mutation.text_of(document)
        else:
            config = mutation.changed(random, document, corpus())
        return {
            "config": config, "image": image, "flow": random.choice(["life", "life", "run", "look", "look"]),
            "later": random.sample(LATER, 3), "after": random.sample(LATER, 2),
            "looks": random.sample(LOOKS, 3),
        }

    def judge(self, site, case):
        site.make_bundle(case["config"], case["image"])
        if case["flow"] == "life":
            faults = through_life(site, case, True)
        elif case["flow"] == "run":
            done = site.call("run", "--bundle", BUNDLE, "box")
            # Without a line of the runtime's own, the status is that of the container's program.
            own = b"level=error" not in done.err
            faults = site.judge(done, own_status=own)
            if own and done.status in (1, 255) and not done.err and not done.out and not may_die(case["config"]):
                faults.append(f"{done.told}: failed with status {done.status} without a word")
        else:
            faults = []
            for words in case["looks"]:
                faults += site.judge(site.call(*words, cwd=BUNDLE))
        return faults + site.finish(outside=not names_outside(case["config"]))


LOOKS = [["validate"], ["validate", "--strict", "--format", "json"], ["validate", "--spec-only"], ["explain"],
         ["explain", "--calls"], ["explain", "--format", "json"], ["audit"], ["audit", "--format", "sarif"],
         ["audit", "--format", "json"]]


class Files:
    """What the runtime reads by name: config.json, and the files of exec and update, with damaged bytes or of other kinds."""

    def case(self, random):
        reader = random.choice(["config", "config", "process", "resources"])
        document = random.choice([ground.base, ground.wide])()
        if reader == "process":
            document = document["process"]
        elif reader == "resources":
            document = document["linux"]["resources"]
        kind, target = "file", ""
        choice = random.random()
        if choice < 0.15:
            kind, target = random.choice([
                ("link", "config.json"), ("link", "nothing"), ("link", "/dev/null"), ("link", "/dev/zero"), ("link", "/dev/full"),
                ("link", "/proc/self/mem"), ("link", "/proc/self/fd/0"), ("link", "/dev/kmsg"), ("link", "."), ("fifo", ""),
                ("socket", ""), ("directory", ""), ("sparse", str(1 << 20)), ("sparse", str(5 << 30)), ("file", ""), ("file", "\ufeff{}"),
            ])
        elif choice < 0.5:
            target = mutation.changed(random, document, corpus())
        else:
            target = mutation.damaged(random, mutation.text_of(document))
        return {"reader": reader, "kind": kind, "content": target, "looks": random.sample(LOOKS, 2),
                "call": random.choice(["create", "run"])}

    def judge(self, site, case):
        site.make_bundle(live())
        faults = []
        if case["reader"] == "config":
            make(BUNDLE / "config.json", case)
            for words in case["looks"]:
                faults += site.judge(site.call(*words, cwd=BUNDLE))
            done = site.call(case["call"], "--bundle", BUNDLE, "box")
            faults += site.judge(done, own_status=case["call"] == "run" and b"level=error" not in done.err)
            if done.status == 0:
                faults += site.delete()
        else:
            faults += started(site)
            path = CWD / "input"
            make(path, case)
            if case["reader"] == "process":
                done = site.call("exec", "--process", path, "box")
                faults += site.judge(done, own_status=b"level=error" not in done.err)
            else:
                faults += site.judge(site.call("update", "--resources", path, "box"))
            faults += site.delete()
        return faults + site.finish(outside=not names_outside(case["content"]))


def make(path, case):
    ground.make_special(path, case["kind"], case["content"])


def live():
    return ground.sleeping()


def started(site, name="box"):
    """A running container; the call must work."""
    done = site.call("run", "--detach", "--bundle", BUNDLE, name)
    return [] if done.status == 0 else [f"{done.told}: status {done.status}: {done.err!r}"]


VALUES = ["", "x", "-1", "0", "1", "2147483648", "18446744073709551616", "99999999999999999999999", "1e3", "1s", "-5s", "1h1h", "../cwd/x",
          "/", ".", "box", "json", "table", "a" * 300, "b" * 100000, "\udcff\udcfe", "\x1b]0;x\x07", "a\nb", "%n%s", "{}", "[", "a=b",
          "=", "true", "CAP_ALL", "1:2:3", "4294967295", "/dev/null", "/proc/self/fd/0", "unix:///x", str(CWD / "made"),
          str(CWD), "\N{PILE OF POO}", "CONT", "KILL", "RTMAX", "0-7", "c:1:3", "/dev/null:/dev/x"]
# These wait by themselves, or need CRIU.
NOT_CALLED = {"checkpoint", "restore", "help"}


def flags_of(runtime):
    """Each command's flags, as its help tells them."""
    def help_of(*words):
        done = subprocess.run([runtime, *words, "--help"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        return done.stdout
    # Not all runtimes print the commands in the same way; those of the specification are always there.
    commands = re.findall(r"^   ([a-z]+)  +\S", help_of().partition("COMMANDS")[2].partition("OPTIONS")[0], re.M)
    commands = commands or ["create", "start", "state", "kill", "delete"]
    return {name: re.findall(r"(?:^|[ ,])(--?[a-z][a-z-]*)", help_of(name).partition("OPTIONS")[2]) for name in commands}


class Words:
    """Command lines."""

    flags = None

    def prepare(self, site):
        self.flags = flags_of(site.runtime)

    def case(self, random):
        commands = sorted(set(self.flags) - NOT_CALLED)
        lines = []
        for _ in range(8):
            name = random.choice(commands)
            words = [name] if random.random() < 0.97 else [random.choice(VALUES)]
            for _ in range(random.choice([0, 1, 1, 2, 3, 6])):
                flag = random.choice(self.flags[name] or ["--help"])
                kind = random.randrange(8)
                if kind == 0:
                    flag = random.choice(["--", "-", "---", "--no-such", "-zz", flag + "x", flag[:-1], flag.upper(), "--=", "-" + flag])
                value = random.choice(VALUES)
                words += [f"{flag}={value}"] if kind < 3 else [flag, value] if kind < 7 else [flag]
            operands = random.choice([[], ["box"], ["box"], ["box"], ["other"], [random.choice(VALUES)]])
            words += operands + [random.choice(["true", *VALUES]) for _ in range(random.choice([0, 0, 1, 2]))]
            if name == "events" and "--stats" not in words:
                words.append("--stats")
            at_front = []
            if random.random() < 0.2:
                at_front = random.choice([
                    ["--log", str(CWD / "log")], ["--log", "/nothing/log"], ["--log-format", random.choice(VALUES)],
                    ["--log-level", random.choice(VALUES)], ["--debug"], ["--rootless", "x"], ["--systemd-cgroup"],
                    ["--root", random.choice(["", "/proc", "/nothing/x", "\udcff", str(CWD / "r"), "a" * 5000])]])
            lines.append(at_front + words)
        return {"lines": lines}

    def judge(self, site, case):
        site.make_bundle(live())
        faults = started(site)
        for words in case["lines"]:
            done = site.call(*words, cwd=CWD)
            program = any(word in ("exec", "run") for word in words)
            # What --debug writes, or another format of the log, has other lines; list and metrics tell each container
            # that they cannot read.
            plain = not any(word.startswith(("--log", "--debug")) or word in ("list", "metrics") for word in words)
            found = site.judge(done, one_line=plain, own_status=program)
            faults += found
            # What was made beside the live container, if anything.
            if CWD.joinpath("r").exists():
                ground.remove(CWD / "r")
        # A paused container is deleted too; what create or run made under another name is deleted by its name.
        for folder in sorted(os.listdir(STATE)):
            faults += site.delete(folder)
        return faults + site.finish()


FILES = ["state.json", "config.json", "progress", "start"]
COMMANDS = [["state", "box"], ["list"], ["list", "-f", "json"], ["ps", "box"], ["exec", "box", "true"], ["pause", "box"], ["resume", "box"],
            ["kill", "box", "0"], ["start", "box"], ["events", "--stats", "box"], ["metrics"], ["explain", "--container", "box"],
            ["update", "--pids-limit", "40", "box"], ["mounts", "list", "box"], ["devices", "list", "box"], ["delete", "box"],
            ["create", "--bundle", str(BUNDLE), "box"], ["create", "--bundle", str(BUNDLE), "second"]]
STRAY = [("file", ""), ("link", "nothing"), ("link", "."), ("link", "box"), ("link", str(ground.OUTSIDE)), ("fifo", ""), ("socket", ""),
         ("directory", ""), ("device", "3"), ("unreadable", "")]


class Damage:
    """State directories that a crash, a full disk, another version or a person has damaged."""

    def case(self, random):
        damage = []
        for _ in range(random.choice([1, 1, 1, 2, 3])):
            name = random.choice(FILES[:1] * 4 + FILES)
            kind = random.randrange(10)
            if kind < 3:
                damage.append(["cut", name, random.random()])
            elif kind < 6:
                # The text is not known yet: the change is determined by a number.
                damage.append([random.choice(["change", "change", "damage"]), name, random.randrange(2**32)])
            elif kind == 6:
                damage.append(["replace", name, *random.choice(STRAY + [("file", "{}"), ("sparse", str(5 << 30)), ("sparse", "4096")])])
            elif kind == 7:
                damage.append(["remove", name])
            elif kind == 8:
                stray = random.choice(["stray", "box/stray", ".stray", "-x", "a b", "\udcff", "x" * 255])
                damage.append(["stray", stray, *random.choice(STRAY)])
            else:
                damage.append(["mode", random.choice(["box", "box/state.json", "."]), random.choice([0, 0o777, 0o4755])])
        return {"config": random.choice(["sleeping", "wide"]), "status": random.choice(["created", "running", "running", "stopped"]),
                "damage": damage, "calls": random.sample(COMMANDS, 5)}

    def apply(self, kind, name, words):
        path = STATE / ("box/" + name if kind not in ("stray", "mode") else name)
        if path.is_symlink() and kind in ("cut", "change", "damage", "mode"):
            return  # It may lead to what is outside, which only the runtime could change.
        try:
            if kind == "cut":
                os.truncate(path, int(path.stat().st_size * words[0]))
            elif kind in ("change", "damage") and path.stat().st_size < 1 << 20:
                random = randomness.Random(words[0])
                text = path.read_bytes().decode("utf-8", "surrogateescape")
                if kind == "change" and text.startswith("{"):
                    text = mutation.changed(random, json.loads(text))
                else:
                    text = mutation.damaged(random, text)
                path.write_bytes(text.encode("utf-8", "surrogateescape"))
            elif kind == "remove":
                path.unlink()
            elif kind == "mode":
                path.chmod(words[0])
            elif kind in ("replace", "stray"):
                ground.make_special(path, *words)
        except (OSError, ValueError):
            pass  # Earlier damage has made it something else.

    def judge(self, site, case):
        config = ground.wide() if case["config"] == "wide" else ground.sleeping()
        config["process"]["args"] = ["sleep", "1000"]
        site.make_bundle(config)
        # Whatever the record says, this process is not the container's.
        bystander = subprocess.Popen(["sleep", "123456"], start_new_session=True)
        site.helpers.add(bystander.pid)
        made = site.call("create", "--bundle", BUNDLE, "box")
        faults = [] if made.status == 0 else [f"{made.told}: {made.err!r}"]
        if case["status"] != "created":
            faults += site.judge(site.call("start", "box"))
        if case["status"] == "stopped":
            site.call("kill", "box", "KILL")
        for kind, name, *words in case["damage"]:
            self.apply(kind, name, words)
        for words in case["calls"]:
            # A damaged record of the program's own status cannot be: exec's status is the runtime's on an error.
            done = site.call(*words)
            # list and metrics tell each container that they cannot read.
            faults += site.judge(done, one_line=words[0] not in ("list", "metrics"), own_status=words[0] == "exec")
        deleted = site.call("delete", "--force", "box")
        faults += site.judge(deleted)
        site.call("delete", "--force", "second")
        if deleted.status == 0 and {kind for kind, *_ in case["damage"]} <= {"cut", "remove", "replace"}:
            # It says that all is gone. A record that can be read and says something else is believed: it is root's own.
            tells = b"cgroups of the container are not known" in deleted.err
            faults += [left for left in site.left() if not (tells and left.startswith("left: cgroup "))]
        if bystander.poll() is not None:
            faults.append("a process that is not the container's was killed")
        bystander.kill()
        bystander.wait()
        site.helpers.discard(bystander.pid)
        faults += site.changed_outside()
        if STATE.is_dir():
            STATE.chmod(0o700)
            if (STATE / "box").is_dir():
                (STATE / "box").chmod(0o700)
        site.cleanse()
        return faults + site.finish()
