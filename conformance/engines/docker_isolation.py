# SPDX-License-Identifier: Apache-2.0
"""Docker's cases about what a container may do and what it shares: rights, namespaces, mounts."""

import contextlib
import json
import os
import pathlib
import socket
import tempfile

from docker_daemon import IMAGE, api, docker, everything, inspected, needs_bridge, release, run, start, state
from docker_run import SLEEP, shell
from harness import Failed, NotRun, call, case, eventually, expect, expect_in

PROFILE = """
#include <tunables/global>
profile engines-test flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  network,
  signal,
  deny /etc/group r,
}
"""


@contextlib.contextmanager
def host_folder():
    """A folder of the host, on a separate shared mount."""
    folder = tempfile.mkdtemp(prefix="engines-volume.", dir="/var/tmp")
    try:
        call("mount", "-t", "tmpfs", "engines", folder)
        call("mount", "--make-rshared", folder)
        yield pathlib.Path(folder)
    finally:
        call("umount", "--recursive", "--lazy", folder, status=None)
        os.rmdir(folder)


def capabilities(*options):
    text = run(*options, IMAGE, "cat", "/proc/self/status")
    return next(line.split()[1] for line in text.splitlines() if line.startswith("CapEff"))


def namespace(kind, pid="self"):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


@case("--read-only")
def read_only():
    expect_in("Read-only file system", run("--read-only", *shell("echo x >/x"), status=1))
    expect(run("--read-only", "--tmpfs", "/tmp", *shell("echo x >/tmp/x && cat /tmp/x")), "x")


@case("--tmpfs")
def tmpfs():
    text = run("--tmpfs", "/scratch:size=1m,mode=1770,noexec", *shell("grep ' /scratch ' /proc/mounts; stat -c %a /scratch"))
    for part in ("tmpfs /scratch tmpfs", "noexec", "size=1024k", "1770"):
        expect_in(part, text)


@case("--cap-add and --cap-drop")
def capability():
    expect(capabilities(), "00000000a80425fb", "default")
    expect(capabilities("--cap-drop", "ALL", "--cap-add", "NET_ADMIN"), "0000000000001000", "one")
    expect(capabilities("--cap-add", "ALL"), everything(), "all")
    expect_in("not permitted", run("--cap-drop", "CHOWN", IMAGE, "chown", "1", "/etc/passwd", status=1))


@case("--privileged")
def privileged():
    expect(capabilities("--privileged"), everything(), "capabilities")
    text = "mount -t tmpfs none /tmp && test -e /dev/vda && echo 1 >/proc/sys/vm/compact_memory && echo mounted"
    expect(run("--privileged", *shell(text)), "mounted")
    expect_in("permission denied", run(*shell("mount -t tmpfs none /tmp"), status=1))


@case("--device")
def device():
    with contextlib.suppress(FileNotFoundError):
        try:
            os.close(os.open("/dev/vda", os.O_RDONLY))
        except PermissionError:
            raise NotRun("/dev/vda cannot be opened on this machine") from None
    text = "dd if=/dev/given of=/dev/null bs=512 count=1; : >>/dev/given"
    said = run("--device", "/dev/vda:/dev/given:r", *shell(text), status=1)
    expect_in("1+0 records in", said)
    expect_in("not permitted", said)
    expect_in("not permitted", run("--cap-add", "MKNOD", *shell("mknod /disk b 254 0 && cat /disk"), status=1))


@case("--user")
def user():
    expect(run("--user", "1000:1001", "--group-add", "77", *shell("id -u; id -G")), "1000\n1001 77")
    expect(run("--user", "nobody", *shell("id -un; cat /etc/group | head -1")), "nobody\nroot:x:0:")
    expect_in("no matching entries", run("--user", "nosuch", IMAGE, "id", status=125))


@case("--workdir, --env, --hostname, --sysctl, --ulimit and --shm-size")
def settings():
    options = ["--workdir", "/made/here", "--env", "K=a b", "--hostname", "named", "--sysctl", "net.ipv4.ip_forward=1"]
    options += ["--ulimit", "nofile=123:456", "--shm-size", "2m", "--stop-signal", "USR1", "--oom-score-adj", "500"]
    text = "pwd; echo $K; hostname; cat /proc/sys/net/ipv4/ip_forward; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj"
    said = run(*options, *shell(text + "; grep -c ' /dev/shm .*size=2048k' /proc/mounts"))
    expect(said.splitlines(), ["/made/here", "a b", "named", "1", "123", "456", "500", "1"])


@case("--network host, none and container")
def network():
    expect(run("--network", "host", IMAGE, "readlink", "/proc/self/ns/net"), namespace("net"), "host's")
    expect(run("--network", "none", IMAGE, "ls", "/sys/class/net").split(), ["lo"], "devices")
    needs_bridge()
    start(*shell("mkdir /www; echo served >/www/page; httpd -f -p 80 -h /www"))
    get = (IMAGE, "wget", "-T", "20", "-qO-", "http://127.0.0.1/page")
    eventually(lambda: run("--network", "container:box", *get, status=None) == "served", "the page is served")


@case("a bridge and a published port")
def port():
    needs_bridge()
    start("-p", "127.0.0.1:18080:80", *shell("mkdir /www; echo served >/www/page; httpd -f -p 80 -h /www"))
    address = next(iter(inspected()["NetworkSettings"]["Networks"].values()))["IPAddress"]

    def fetched():
        for place in ((address, 80), ("127.0.0.1", 18080)):
            with contextlib.suppress(OSError), socket.create_connection(place, 5) as connection:
                connection.settimeout(20)
                connection.sendall(b"GET /page HTTP/1.0\r\n\r\n")
                text = b"".join(iter(lambda: connection.recv(4096), b""))
                if text.endswith(b"served\n"):
                    continue
            return False
        return True

    eventually(fetched, "the page is served at the address and at the port")
    expect(run(*shell("ip -4 addr show eth0 | grep -c inet")), "1", "addresses")


@case("--ipc")
def ipc():
    expect(run("--ipc", "host", IMAGE, "readlink", "/proc/self/ns/ipc"), namespace("ipc"), "host's")
    start("--ipc", "shareable", *shell("echo shared >/dev/shm/note; sleep 1000"))
    eventually(lambda: docker("exec", "box", "cat", "/dev/shm/note", status=None), "the note is written")
    expect(run("--ipc", "container:box", IMAGE, "cat", "/dev/shm/note"), "shared")


@case("--pid")
def pid():
    expect(run("--pid", "host", IMAGE, "readlink", "/proc/self/ns/pid"), namespace("pid"), "host's")
    start(IMAGE, "sleep", "1234")
    expect_in("sleep 1234", run("--pid", "container:box", IMAGE, "ps", "-o", "pid,args"))
    docker("stop", "-t", "0", "box")
    # Without a separate pid namespace, the end of init must end all processes.
    start("--pid", "host", *shell("sleep 4321 & sleep 4322"), name="hosted")
    docker("rm", "-f", "hosted")
    eventually(lambda: "sleep 4321" not in call("ps", "-eo", "args"), "none of its processes is left", 20)


@case("--uts and --cgroupns")
def uts():
    expect(run("--uts", "host", IMAGE, "hostname"), socket.gethostname(), "host's name")
    expect(run("--cgroupns", "host", IMAGE, "readlink", "/proc/self/ns/cgroup"), namespace("cgroup"), "host's")
    expect_in("0::/\n", run("--cgroupns", "private", IMAGE, "cat", "/proc/self/cgroup") + "\n")


@case("seccomp, default and custom")
def seccomp():
    expect_in("Seccomp:\t2", run(IMAGE, "cat", "/proc/self/status"))
    expect_in("not permitted", run(IMAGE, "unshare", "-U", "true", status=1))
    expect_in("Seccomp:\t0", run("--security-opt", "seccomp=unconfined", IMAGE, "cat", "/proc/self/status"))
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}, file)
        file.flush()
        said = run("--security-opt", f"seccomp={file.name}", IMAGE, "mkdir", "/new", status=1)
    expect_in("No space left", said)


@case("AppArmor, default and custom")
def apparmor():
    if not os.path.isdir("/sys/kernel/security/apparmor/policy"):
        raise NotRun("AppArmor is not in force")
    attribute = (IMAGE, "cat", "/proc/self/attr/current")
    expect(run(*attribute), "docker-default (enforce)")
    expect(run("--security-opt", "apparmor=unconfined", *attribute), "unconfined")
    call("apparmor_parser", "--replace", stdin=PROFILE)
    try:
        with_profile = ("--security-opt", "apparmor=engines-test")
        expect(run(*with_profile, *attribute), "engines-test (enforce)")
        expect_in("ermission denied", run(*with_profile, IMAGE, "cat", "/etc/group", status=1))
        start(*with_profile, *SLEEP)
        expect(docker("exec", "box", "cat", "/proc/self/attr/current"), "engines-test (enforce)", "exec's")
    finally:
        api("DELETE", "/containers/box?force=1&v=1") if api_has("box") else None
        call("apparmor_parser", "--remove", stdin=PROFILE, status=None)
    expect_in("engines-missing", run("--security-opt", "apparmor=engines-missing", *attribute, status=None))


def api_has(name):
    return any(f"/{name}" in one["Names"] for one in api("GET", "/containers/json?all=1"))


@case("no-new-privileges, masked and read-only paths")
def restrictions():
    said = run("--security-opt", "no-new-privileges", IMAGE, "cat", "/proc/self/status")
    expect_in("NoNewPrivs:\t1", said)
    text = "cat /proc/kcore 2>/dev/null | wc -c; ls /proc/scsi /sys/firmware 2>/dev/null | grep -vc :; echo x >/proc/sys/kernel/hostname"
    expect_in("Read-only file system", said := run(*shell(text), status=1))
    # Error output may come first.
    expect_in("0", said.splitlines(), "bytes of /proc/kcore")
    said = run("--security-opt", "systempaths=unconfined", *shell("grep -c ' /proc/' /proc/mounts"), status=None)
    expect(said, "0", "mounts below /proc where the paths are unconfined")


@case("volumes")
def volumes():
    run("-v", "kept:/data", *shell("echo stays >/data/file"))
    expect(run("--mount", "type=volume,src=kept,dst=/data,readonly", IMAGE, "cat", "/data/file"), "stays")
    with host_folder() as folder:
        (folder / "file").write_text("of the host\n")
        expect(run("-v", f"{folder}:/data", *shell("cat /data/file; echo new >/data/new")), "of the host")
        expect((folder / "new").read_text(), "new\n")
        expect_in("Read-only", run("-v", f"{folder}:/data:ro", *shell("echo x >/data/x"), status=1))
        expect(run("-v", f"{folder}/file:/etc/one", IMAGE, "cat", "/etc/one"), "of the host", "a file")
        sub = folder / "sub"
        sub.mkdir()
        call("mount", "-t", "tmpfs", "below", sub)
        mount = f"type=bind,src={folder},dst=/data,readonly"
        if release() >= 25:
            said = run("--mount", mount, *shell("echo x >/data/sub/x"), status=1)
            expect_in("Read-only", said, "recursively read-only")
            run("--mount", f"{mount},bind-recursive=writable", *shell("echo x >/data/sub/x"))
            text = ("grep", "-c", " /data/sub ", "/proc/mounts")
            mount = f"type=bind,src={folder},dst=/data,bind-recursive=disabled"
            expect(run("--mount", mount, IMAGE, *text, status=1), "0")
    docker("volume", "rm", "kept")


@case("bind propagation")
def propagation():
    with host_folder() as folder:
        (folder / "later").mkdir()
        (folder / "made").mkdir()
        start("-v", f"{folder}:/data:rslave", *SLEEP, name="slave")
        start("-v", f"{folder}:/data:rprivate", *SLEEP, name="private")
        start("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined", "-v", f"{folder}:/data:rshared", *SLEEP)
        call("mount", "-t", "tmpfs", "later", folder / "later")
        (folder / "later/file").write_text("arrived\n")
        expect(docker("exec", "slave", "cat", "/data/later/file"), "arrived", "rslave")
        docker("exec", "private", "test", "!", "-e", "/data/later/file")
        docker("exec", "box", "mount", "-t", "tmpfs", "inner", "/data/made")
        docker("exec", "box", "touch", "/data/made/file")
        if not (folder / "made/file").exists():
            raise Failed("rshared: a mount of the container is not seen by the host")
        docker("exec", "slave", "test", "-e", "/data/made/file")
        for name in ("box", "slave", "private"):
            docker("rm", "-f", name)


@case("user namespace with a map", group="userns-remap")
def user_namespace():
    line = run(IMAGE, "cat", "/proc/self/uid_map").split()
    expect(line[0], "0", "inside")
    if line[1] == "0":
        raise Failed(f"root is the host's root: {line}")
    start("--memory", "64m", *SLEEP)
    expect(str(os.stat(f"/proc/{state()['Pid']}").st_uid), line[1], "owner of the process")
    expect(docker("exec", "box", *shell("id -u; echo x >/x; stat -c %u /x /etc/passwd")[1:]), "0\n0\n0")
    expect_in("permission denied", run(*shell("mount -t tmpfs none /tmp"), status=1))
    expect(run("--userns", "host", IMAGE, "cat", "/proc/self/uid_map").split()[1], "0", "--userns host")


@case("user namespace with volumes, a terminal and limits", group="userns-remap")
def user_namespace_more():
    run("-v", "kept:/data", *shell("echo stays >/data/file; chown 5 /data/file"))
    expect(run("-v", "kept:/data", IMAGE, "stat", "-c", "%u", "/data/file"), "5")
    docker("volume", "rm", "kept")
    expect(run("-t", IMAGE, "tty"), "/dev/pts/0")
    expect(run("--read-only", "--network", "none", "--tmpfs", "/t", *shell("echo x >/t/x; cat /t/x")), "x")
    run("--memory", "32m", "--memory-swap", "32m", IMAGE, "tail", "/dev/zero", status=137)
    docker("run", "-d", "--name", "box", *SLEEP)
    cgroup = pathlib.Path(f"/proc/{state()['Pid']}/cgroup").read_text()
    expect_in("/docker/", cgroup, "cgroup of the cgroupfs driver")
