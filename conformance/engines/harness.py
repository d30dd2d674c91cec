# SPDX-License-Identifier: Apache-2.0
"""Shared code of the engines' scripts: cases with a time limit, calls of programs, a terminal, leftovers.

A script names an engine, declares cases with @case, and ends in main(). It prints what it runs with, a line for each
case:

    ok         3.2 s  NAME
    FAILED     0.4 s  NAME: reason
    not run    0.0 s  NAME: reason

and a total. Details of a failure follow its line, indented. The status is 1 if a case failed.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import functools
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

BUSYBOX = pathlib.Path("/opt/busybox")
STREAMS = ("stdin", "stdout", "stderr")
SYSTEMD = os.path.isdir("/run/systemd/system")
# The machine may be emulated; there, an engine's client alone takes a second.
CALL_SECONDS = 120


class Failed(Exception):
    """A case has failed; the lines after the message's first line are details."""


class NotRun(Exception):
    """A case cannot run here; the message says why."""


class OutOfTime(Exception):
    """The time limit of a case was reached."""


@dataclasses.dataclass
class Case:
    name: str
    limit: int
    group: str
    function: object


CASES = []


def case(name, limit=180, group=""):
    """Declares a case; the cases of a group run together, in the order of their declaration."""

    def declare(function):
        CASES.append(Case(name, limit, group, function))
        return function

    return declare


def call(*command, status=0, stdin=None, limit=CALL_SECONDS, **options):
    """Runs a program; returns its output, of both streams, without surrounding white space.

    `status` is the expected exit status; None: any.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=limit,
            **options,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(words)}: no end within {limit} s\n{error.output or ''}") from None
    if status is not None and done.returncode != status:
        shown = " ".join(words)
        raise Failed(f"status {done.returncode}, expected {status}, of {shown}\n{done.stdout}")
    return done.stdout.strip()


def expect(found, wanted, what="output"):
    """Fails unless the two are the same."""
    if found != wanted:
        raise Failed(f"{what}: {found!r}, expected {wanted!r}")


def expect_in(part, text, what="output"):
    """Fails unless the text contains the part."""
    if part not in text:
        raise Failed(f"{what} lacks {part!r}\n{text}")


def eventually(check, what, seconds=60, pause=0.3):
    """Waits until check() returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(pause)
    return found


@functools.cache
def criu_dumps():
    """What keeps CRIU from dumping a process that sleeps; empty if it can."""
    sleeper = subprocess.Popen(["sleep", "60"], start_new_session=True, **dict.fromkeys(STREAMS, subprocess.DEVNULL))
    try:
        with tempfile.TemporaryDirectory() as folder:
            command = ["criu", "dump", "--shell-job", "--tree", str(sleeper.pid), "--images-dir", folder]
            done = subprocess.run(command, capture_output=True)
            return "CRIU cannot dump a process on this kernel" if done.returncode else ""
    except FileNotFoundError:
        return "no criu"
    finally:
        sleeper.kill()
        sleeper.wait()


def needs_criu():
    """Skips a case where no checkpoint can be made; some releases of CRIU cannot on some kernels."""
    if reason := criu_dumps():
        raise NotRun(reason)


class Counter:
    """A shell script that counts in a file, to see whether a restored container goes on where it stood.

    `read(name)` gives what the engine says is in the file of a container.
    """

    SCRIPT = "i=0; while :; do i=$((i+1)); echo $i >/next; mv /next /count; sleep 0.1; done"
    FILE = "/count"

    def __init__(self, read):
        self.read = read

    def value(self, name="box"):
        said = self.read(name)
        return int(said) if said.isdigit() else 0

    def reached(self, name="box"):
        """Waits until it has counted a while; gives what it has reached."""
        return eventually(lambda: (n := self.value(name)) > 15 and n, "it counts")

    def goes_on(self, reached, name="box"):
        """It was not started anew, and it moves."""
        first = self.value(name)
        expect(first >= reached, True, f"{first} is not before {reached}")
        eventually(lambda: self.value(name) > first, "it goes on")


def nothing_left(leftovers, seconds=30):
    """Waits until leftovers() finds nothing; fails if it still finds something in the end."""
    deadline = time.monotonic() + seconds
    while (found := leftovers()) and time.monotonic() < deadline:
        time.sleep(0.3)
    if found:
        raise Failed("\n".join([f"{len(found)} left behind", *map(str, found)]))


class Terminal:
    """A program with its own terminal, as if run by a person."""

    def __init__(self, *command, rows=24, columns=80):
        self.seen = ""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                os.execvp(command[0], [str(word) for word in command])
            except OSError as error:
                print(f"{command[0]}: {error}")
            os._exit(127)
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self, seconds):
        """Reads the output; False: the terminal is closed."""
        if select.select([self.master], [], [], seconds)[0]:
            try:
                got = os.read(self.master, 4096)
            except OSError:
                return False
            self.seen += got.decode(errors="replace")
            return bool(got)
        return True

    def wait_for(self, text, seconds=60):
        """Waits until a text appears in the output after the previous one."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            if not self.read(0.2) or time.monotonic() > deadline:
                raise Failed(f"the terminal did not show {text!r}\n{self.seen}")
        self.seen = self.seen.split(text, 1)[1]

    def status(self, seconds=60):
        """Waits for the program's end; returns its exit status."""
        deadline = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                raise Failed(f"the program at the terminal did not end\n{self.seen}")
            self.read(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)


@dataclasses.dataclass
class Runtime:
    path: str
    name: str
    version: str


def find_runtime(given):
    path = shutil.which(given) if "/" not in given else os.path.realpath(given)
    if not path or not os.access(path, os.X_OK):
        sys.exit(f"no runtime at {given}")
    first = call(path, "--version").splitlines()[0]
    match = re.search(r"version (\S+)", first)
    return Runtime(path, os.path.basename(given), match[1] if match else "unknown")


def needs_swrunc(program="swrunc"):
    """Skips a case that proves that swrunc is used, if the tested runtime is another one."""
    if "swrunc" not in call(program, "--version").splitlines()[0]:
        raise NotRun("the article proves that swrunc is used, and the tested runtime is another")


def versions(programs):
    """The engine's programs with their versions, and the machine's cgroups, as the suite records them."""
    told = []
    for program in programs:
        match = re.search(r"\d+(\.\d+)+[^\s,)]*", call(program, "--version"))
        told.append(f"{program} {match[0].removesuffix('+unknown') if match else 'of unknown version'}")
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    return f"{', '.join(told)}; cgroup {'v2' if unified else 'v1'}{', systemd' if SYSTEMD else ''}"


def processes(part):
    """The processes whose command line contains a text, except this one."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if part in line:
                    found[int(entry.name)] = line.strip()
    return found


def mounts(part):
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if part in line.split()[4]]


def states(root):
    """A runtime's state of containers below its root, without swrunc's cache of filters."""
    return [str(path) for path in pathlib.Path(root).glob("*") if path.is_dir() and not path.name.startswith("@")]


def cgroups(pattern):
    """The cgroups whose name matches."""
    name = re.compile(pattern)
    return {folder for folder, _, _ in os.walk("/sys/fs/cgroup") if name.search(folder)}


class Unit:
    """A daemon run by systemd, so that its processes are not this script's."""

    def __init__(self, name, *command, **properties):
        self.name = name
        given = [f"--property={key}={value}" for key, value in properties.items()]
        try:
            call("systemd-run", "--quiet", "--collect", f"--unit={name}", *given, "--", *command)
        except Failed as error:
            raise Failed(f"{error}\n{self.log()}") from None

    def log(self):
        return call("journalctl", "--no-pager", "-n", "30", "-o", "cat", "-u", self.name, status=None)

    def stop(self):
        call("systemctl", "stop", self.name, status=None)
        call("systemctl", "reset-failed", self.name, status=None)


class Program:
    """A daemon that this script runs itself, without systemd; its output goes to a file."""

    def __init__(self, log, *command, path):
        self.file = log
        with open(log, "w") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": path},
                start_new_session=True,
            )

    def log(self):
        return "\n".join(self.file.read_text(errors="replace").splitlines()[-30:])

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def root_filesystem(scratch):
    """A busybox root file system: the machine's own, or one made from its busybox."""
    if BUSYBOX.is_dir():
        return BUSYBOX
    program = shutil.which("busybox")
    if not program:
        sys.exit(f"needs {BUSYBOX}, or busybox-static")
    root = scratch / "busybox"
    for folder in ("bin", "etc", "tmp", "proc", "sys", "dev"):
        (root / folder).mkdir(parents=True)
    shutil.copy(program, root / "bin/busybox")
    for applet in call(program, "--list").split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    return root


@contextlib.contextmanager
def scratch_folder(name):
    """A folder on the disk (where the upper directories of overlays must be), removed at the end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}.", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        for place in sorted(mounts(str(folder)), reverse=True):
            call("umount", "--lazy", place, status=None)
        call("rm", "-rf", folder, status=None)


def stop(number, _):
    sys.exit(128 + number)


def on_alarm(*_):
    raise OutOfTime


def perform(one):
    """Runs a case; returns its result as a word, and the reason."""
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(one.limit)
    try:
        one.function()
        return "ok", ""
    except NotRun as error:
        return "not run", str(error)
    except OutOfTime:
        return "FAILED", f"no end within {one.limit} s"
    except (Failed, OSError, LookupError, ValueError) as error:
        return "FAILED", str(error) or repr(error)
    finally:
        signal.alarm(0)


def run_group(engine, chosen, after):
    """Runs cases one after the other; `after` cleans up after each. Returns the results as words."""
    words = []
    for one in chosen:
        began = time.monotonic()
        word, reason = perform(one)
        first, _, detail = reason.partition("\n")
        print(
            f"{word:8} {time.monotonic() - began:5.1f} s  {one.name}{': ' if first else ''}{first}",
            *(f"    {line}" for line in detail.splitlines()[-30:]),
            sep="\n",
            flush=True,
        )
        words.append(word)
        try:
            after(word)
        except (Failed, OSError) as error:
            print(f"    afterwards: {error}", flush=True)
    return words


def main(engine, groups, description, programs):
    """Runs the cases of an engine, which is made of programs.

    `groups` has a context manager for each group of cases. It is called with the runtime, and the cases run
    in it; its value is called after each case with the result.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runtime", default="runc", help="path or command (default: runc)")
    parser.add_argument("--only", metavar="REGEX", help=f"cases whose name, '{engine}: ...', matches")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    arguments = parser.parse_args()
    only = re.compile(arguments.only or "")
    chosen = [one for one in CASES if only.search(f"{engine}: {one.name}")]
    if arguments.list:
        print(*(one.name for one in chosen), sep="\n")
        return
    if os.geteuid():
        sys.exit(f"{engine}: needs root")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    runtime = find_runtime(arguments.runtime)
    print(f"{engine} with {runtime.name} {runtime.version}", f"run by {versions(programs)}", sep="\n", flush=True)
    words = []
    for group, opened in groups.items():
        if of_group := [one for one in chosen if one.group == group]:
            try:
                with opened(runtime) as after:
                    words += run_group(engine, of_group, after)
            except NotRun as error:
                print(*(f"not run    0.0 s  {one.name}: {error}" for one in of_group), sep="\n", flush=True)
                words += ["not run"] * len(of_group)
    counted = ", ".join(f"{words.count(word)} {word}" for word in ("ok", "FAILED", "not run"))
    print(f"total: {len(words)} cases, {counted}")
    sys.exit(1 if "FAILED" in words else 0)
