#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command of a suite so that no process outlives it.

usage: supervised.py --limit SECONDS [--quiet-limit SECONDS] [--terminal] -- COMMAND [ARG]...

It adopts and reaps the command's orphans (such as containers), kills all that are left when the command
has ended or its time is over, and exits with its status; 124: the time was over.

--quiet-limit: standard output is a file; if it has not grown for this time, the processes of the running
bats test are killed, so that the suite goes on with its next test.
--terminal: standard input is the controlling terminal, without input.
"""

import argparse
import ctypes
import fcntl
import os
import pty
import signal
import sys
import termios
import time

PR_SET_CHILD_SUBREAPER = 36


def descendants(pid):
    """All descendants of a process, the nearest first."""
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop(0)
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
            for task in tasks:
                with open(f"/proc/{parent}/task/{task}/children") as file:
                    waiting += (children := [int(word) for word in file.read().split()])
                    found += children
        except OSError:
            continue
    return found


def text(path):
    """A file of /proc; empty if the process has ended."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def thaw(pid):
    """Thaws v1 cgroups, since no process ends in a frozen one."""
    for line in text(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "freezer" and path != "/":
            try:
                with open(f"/sys/fs/cgroup/freezer{path}/freezer.state", "w") as file:
                    file.write("THAWED")
            except OSError:
                pass


def end(pids):
    for pid in pids:
        thaw(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def hanging(command):
    """The processes that a shell test has started, and their orphans: all except the shells."""
    found = []
    for pid in descendants(os.getpid()):
        if "bats-exec-test" in text(f"/proc/{pid}/cmdline"):
            found += [p for p in descendants(pid) if text(f"/proc/{p}/comm").strip() != "bash"]
    adopted = text(f"/proc/self/task/{os.getpid()}/children").split()
    return found + [int(pid) for pid in adopted if int(pid) != command]


def reap(pid):
    """Reaps ended processes; returns the status of the given process, if it is among them."""
    status = None
    while True:
        try:
            ended, state = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if ended == 0:
            return status
        if ended == pid:
            status = os.waitstatus_to_exitcode(state)


def start(command, terminal):
    master, slave = pty.openpty() if terminal else (None, None)
    pid = os.fork()
    if pid:
        return pid, master
    os.setsid()
    if terminal:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        os.dup2(slave, 0)
        os.close(master)
        os.close(slave)
    else:
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error}", file=sys.stderr)
        os._exit(127)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=float, required=True)
    parser.add_argument("--quiet-limit", type=float)
    parser.add_argument("--terminal", action="store_true")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        sys.exit("supervised.py: PR_SET_CHILD_SUBREAPER failed")
    # When the parent of this program ends, this program gets SIGTERM and ends the command.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    status = None
    try:
        pid, _master = start(arguments.command, arguments.terminal)
        deadline = time.monotonic() + arguments.limit
        size, grew = -1, time.monotonic()
        while status is None:
            time.sleep(0.02)
            status = reap(pid)
            now = time.monotonic()
            if status is None and now > deadline:
                status = 124
            elif arguments.quiet_limit:
                if (current := os.fstat(1).st_size) != size:
                    size, grew = current, now
                elif now - grew > arguments.quiet_limit:
                    end(hanging(pid))
                    grew = now
    finally:
        for _ in range(500):
            end(descendants(os.getpid()))
            reap(0)
            if not descendants(os.getpid()):
                break
            time.sleep(0.01)
    sys.exit(status if status >= 0 else 128 - status)


main()
