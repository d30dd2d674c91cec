# SPDX-License-Identifier: Apache-2.0
"""Docker's cases about a container's life: run, exec, terminals, signals, limits."""

import contextlib
import os
import time

from docker_daemon import (
    IMAGE,
    api,
    docker,
    everything,
    frozen,
    inspected,
    limit,
    needs_metrics,
    release,
    run,
    start,
    state,
    wait_status,
)
from harness import Failed, Terminal, case, eventually, expect, expect_in

SLEEP = (IMAGE, "sleep", "1000")
# The client sets the terminal's size some time after the start.
SIZES = "until stty size | grep '44 66'; do stty size; sleep 0.3; done"


def shell(text):
    return (IMAGE, "sh", "-c", text)


@case("the daemon knows the runtime")
def known():
    info = api("GET", "/info")
    expect(info["DefaultRuntime"], "swrunc", "default runtime")
    expect_in("swrunc", info["Runtimes"], "runtimes")
    version = docker("version", "--format", "{{range .Server.Components}}{{.Name}} {{.Version}}\n{{end}}")
    name = next((x for x in version.splitlines() if not x.startswith(("Engine", "containerd", "docker-init"))), "")
    if len(name.split()) < 2:
        raise Failed(f"docker version does not tell the runtime's version\n{version}")


@case("run")
def run_once():
    expect(run(IMAGE, "echo", "from inside"), "from inside")


@case("run --runtime")
def run_by_name():
    expect(run("--runtime", "swrunc", IMAGE, "hostname", "-s") != "", True)


@case("run -i takes standard input")
def run_input():
    expect(run("-i", IMAGE, "cat", stdin="to and fro\n"), "to and fro")


@case("exit statuses")
def exit_statuses():
    run(*shell("exit 7"), status=7)
    run(*shell("sh -c 'kill -9 $$'; exit $?"), status=137)
    expect_in("no such file or directory", run(IMAGE, "/no/such/program", status=127))
    # Docker before 23 has no status for "is a directory", Go's text, which runc prints as well.
    expect_in('exec: "/etc": ', run(IMAGE, "/etc", status=126 if release() >= 23 else None))
    expect_in("executable file not found", run(IMAGE, "no-such-program", status=127))
    # A folder instead of a file, the most common mistake with volumes: the daemon recognizes the error.
    expect_in("Are you trying to mount", run("-v", "/etc:/etc/passwd", IMAGE, "true", status=None))


@case("run -it with resize")
def run_terminal():
    command = ("docker", "run", "-it", "--rm", "--name", "box")
    with Terminal(*command, *shell(f"tty; read x; {SIZES}"), rows=30, columns=100) as terminal:
        terminal.wait_for("/dev/pts/0")
        terminal.type("go on\n")
        terminal.wait_for("30 100")
        terminal.resize(44, 66)
        terminal.wait_for("44 66")
        expect(terminal.status(), 0, "status")


@case("exec")
def execute():
    start(*SLEEP)
    expect(docker("exec", "box", "echo", "entered"), "entered")
    expect(docker("exec", "-i", "box", "cat", stdin="given\n"), "given")
    expect(docker("exec", "-u", "65534", "-w", "/tmp", "-e", "K=v", *in_box("id -u; pwd; echo $K")), "65534\n/tmp\nv")
    docker("exec", *in_box("exit 9"), status=9)
    expect_in("no such file or directory", docker("exec", "box", "/no/such/program", status=None))
    docker("exec", "-d", *in_box("echo later >/later"))
    eventually(lambda: docker("exec", "box", "cat", "/later", status=None) == "later", "the detached exec ran")
    expect_in(f"CapEff:\t{everything()}", docker("exec", "--privileged", "box", "cat", "/proc/self/status"))
    expect_in("CapEff:\t00000000a80425fb", docker("exec", "box", "cat", "/proc/self/status"))


def in_box(text):
    return ("box", "sh", "-c", text)


@case("exec -it with resize")
def execute_terminal():
    start(*SLEEP)
    with Terminal("docker", "exec", "-it", *in_box(f"tty; read x; {SIZES}; exit 3")) as terminal:
        terminal.wait_for("/dev/pts/")
        terminal.type("go on\n")
        terminal.wait_for("24 80")
        # Not with the client: Docker 26's sends only the first size to the daemon.
        api("POST", f"/exec/{inspected()['ExecIDs'][0]}/resize?h=44&w=66")
        terminal.wait_for("44 66")
        expect(terminal.status(), 3, "status")


@case("attach")
def attach():
    start("-it", *shell("read x; echo got $x; exit 5"))
    with Terminal("docker", "attach", "box") as terminal:
        time.sleep(1)
        terminal.type("this\n")
        terminal.wait_for("got this")
        expect(terminal.status(), 5, "status")


@case("logs")
def logs():
    start(*shell("echo one; sleep 1; echo two >&2; sleep 1; echo three"))
    wait_status("exited")
    expect(docker("logs", "box").splitlines(), ["one", "two", "three"])
    expect(docker("logs", "--tail", "1", "box"), "three")


@case("stop with grace")
def stop():
    start(*shell("trap 'echo ended well; exit 7' TERM; echo ready; while :; do sleep 0.1; done"))
    eventually(lambda: "ready" in docker("logs", "box"), "the trap is set")
    docker("stop", "-t", "30", "box")
    expect(state()["ExitCode"], 7, "exit code")
    expect_in("ended well", docker("logs", "box"))
    start(*shell("trap '' TERM; while :; do sleep 0.1; done"), name="stubborn")
    docker("stop", "-t", "1", "stubborn")
    expect(state("stubborn")["ExitCode"], 137, "exit code of one that does not listen")


@case("kill")
def kill():
    start(*shell("trap 'exit 11' USR1; echo ready; while :; do sleep 0.1; done"))
    eventually(lambda: "ready" in docker("logs", "box"), "the trap is set")
    docker("kill", "-s", "USR1", "box")
    wait_status("exited")
    expect(state()["ExitCode"], 11, "exit code")
    expect_in("not running", docker("kill", "box", status=1))
    docker("start", "box")
    docker("kill", "box")
    wait_status("exited")
    expect(state()["ExitCode"], 137, "exit code of one that was killed")


@case("restart")
def restart():
    start(*SLEEP)
    before = state()["Pid"]
    docker("restart", "-t", "0", "box")
    if state()["Pid"] in (0, before):
        raise Failed("no new process")
    expect(docker("exec", "box", "echo", "again"), "again")


@case("pause and unpause")
def pause():
    start(*shell("i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.1; done"))
    docker("pause", "box")
    expect(state()["Status"], "paused", "status")
    expect_in("paused", docker("exec", "box", "true", status=1))
    expect(frozen(), True, "the cgroup is frozen")
    docker("unpause", "box")
    first = docker("exec", "box", "cat", "/count")
    eventually(lambda: docker("exec", "box", "cat", "/count") != first, "it counts on")


@case("stats")
def stats():
    needs_metrics()
    start("--memory", "64m", *SLEEP)
    line = docker("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "box")
    expect_in("64MiB", line)
    expect(line.split()[-1], "1", "processes")


@case("top")
def top():
    start(*shell("sleep 501 & sleep 502"))
    eventually(lambda: "sleep 501" in docker("top", "box"), "both are listed")
    table = docker("top", "box", "-eo", "pid,args")
    expect_in("sleep 502", table)
    expect_in(str(state()["Pid"]), table)


@case("update")
def update():
    start("--memory", "128m", *SLEEP)
    docker("update", "--memory", "64m", "--memory-swap", "96m", "--cpus", "0.5", "--pids-limit", "33", "box")
    expect(limit("memory.max"), f"{64 << 20}", "memory.max")
    expect(limit("memory.swap.max"), f"{32 << 20}", "memory.swap.max")
    expect(limit("cpu.max"), "50000 100000", "cpu.max")
    expect(limit("pids.max"), "33", "pids.max")
    docker("update", "--cpu-shares", "512", "--cpuset-cpus", "0", "box")
    expect(limit("cpuset.cpus"), "0", "cpuset.cpus")


@case("cp")
def copy():
    start(*SLEEP)
    with open("/var/tmp/engines-copied", "w") as file:
        file.write("carried\n")
    try:
        docker("cp", "/var/tmp/engines-copied", "box:/tmp/there")
        expect(docker("exec", "box", "cat", "/tmp/there"), "carried")
        expect(docker("cp", "box:/etc/passwd", "-", status=None)[:6], "passwd")
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink("/var/tmp/engines-copied")


@case("restart policies", limit=300)
def restart_policies():
    start("--restart", "on-failure:2", *shell("exit 3"))
    eventually(lambda: inspected()["RestartCount"] == 2 and state()["Status"] == "exited", "two restarts")
    expect(state()["ExitCode"], 3, "exit code")
    start("--restart", "always", *shell("sleep 2"), name="always")
    eventually(lambda: inspected("always")["RestartCount"] >= 2, "it is started again and again")


@case("--init")
def init():
    expect_in("init", run("--init", IMAGE, "cat", "/proc/1/cmdline"))
    # Orphans are reaped.
    text = "sh -c 'sleep 0.1 &' ; sleep 1; ps -o stat | grep -c Z; true"
    expect(run("--init", *shell(text)), "0")


@case("--memory with an OOM kill")
def out_of_memory():
    start("--memory", "48m", *SLEEP, name="other")
    expect(limit("memory.max", "other"), f"{48 << 20}", "memory.max")
    docker("run", "--name", "box", "--memory", "32m", "--memory-swap", "32m", IMAGE, "tail", "/dev/zero", status=137)
    needs_metrics()
    eventually(lambda: state()["OOMKilled"], "the daemon knows of the OOM kill")


@case("--cpus, --cpu-shares and --cpuset-cpus")
def cpus():
    start("--cpus", "0.5", "--cpu-shares", "2048", "--cpuset-cpus", "0", *SLEEP)
    expect(limit("cpu.max"), "50000 100000", "cpu.max")
    expect(int(limit("cpu.weight")) > 39, True, "a weight above the default")
    expect(limit("cpuset.cpus"), "0", "cpuset.cpus")


@case("--pids-limit")
def pids():
    text = "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait"
    expect_in("can't fork", run("--pids-limit", "5", *shell(text), status=2))


@case("health checks")
def health():
    start("--health-cmd", "test -e /well", "--health-interval", "1s", "--health-timeout", "60s",
          "--health-retries", "2", *SLEEP)  # fmt: skip
    eventually(lambda: state()["Health"]["Status"] == "unhealthy", "it is unhealthy", 90)
    docker("exec", "box", "touch", "/well")
    eventually(lambda: state()["Health"]["Status"] == "healthy", "it is healthy", 90)
