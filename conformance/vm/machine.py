# SPDX-License-Identifier: Apache-2.0
"""A qemu machine that boots the image, runs one command by ssh, and is removed at the end.

Its only network connection is ssh from this machine. Writes to its disk are lost, writes to shared folders of
the host are not. It is emulated on every host: slow, but the same everywhere.
"""

import contextlib
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time

# guest-init expects these device names. On a busy host the kernel would find that its timer does not tick in time,
# and panic (no_timer_check). It starts with one CPU, because it patches its own code while it starts: with two, an
# emulated one panics now and then. The guest's service hold-perf-event brings the second CPU up (guest-setup).
KERNEL_ARGUMENTS = (
    "root=/dev/vda rw quiet loglevel=3 panic=-1 console=ttyS0 net.ifnames=0 mitigations=off no_timer_check maxcpus=1 "
    "systemd.getty_auto=no systemd.show_status=no"
)
MEMORY, CPUS = "4G", "2"
# The statuses are those of timeout(1).
OUT_OF_TIME, FAILED = 124, 125
BOOT_SECONDS = 900
SHARE_OPTIONS = "trans=virtio,version=9p2000.L,msize=512000,cache=mmap"


class Failed(Exception):
    """The machine did not start, or ended early; the message says why."""


class Panicked(Failed):
    """The guest's kernel panicked: the emulator breaks it now and then, where the kernel rewrites itself."""


class Machine:
    """A VM that runs during the `with`; with `keep`, writes to its disk are kept.

    `shares` are pairs of a folder of the host and a path in the guest.
    """

    def __init__(self, image, shares=(), kernel_arguments=(), keep=False):
        self.image = pathlib.Path(image)
        self.shares = list(shares)
        self.kernel_arguments = " ".join([KERNEL_ARGUMENTS, *kernel_arguments])
        self.keep = keep

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="test-vm."))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                # It does not outlive this program, however this program ends.
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self):
        forward = f"hostfwd=tcp:127.0.0.1:{self.port}-:22"
        snapshot = "off" if self.keep else "on"
        words = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot",
            "-display", "none", "-machine", "q35", "-smp", CPUS, "-m", MEMORY,
            "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,la57=off",
            "-kernel", f"{self.image}/vmlinuz", "-initrd", f"{self.image}/initrd",
            "-append", self.kernel_arguments,
            "-drive", f"file={self.image}/disk.raw,format=raw,if=none,id=disk,"
                      f"cache=unsafe,discard=unmap,snapshot={snapshot}",
            "-device", "virtio-blk-pci,drive=disk",
            "-netdev", f"user,id=net,restrict=on,{forward}",
            "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci",
            "-chardev", f"file,id=console,path={self.folder}/console", "-serial", "chardev:console",
        ]  # fmt: skip
        # File owners are kept if this machine allows it.
        model = "none" if os.geteuid() else "passthrough"
        for number, (here, _) in enumerate(self.shares):
            path = str(here).replace(",", ",,")
            words += [
                "-fsdev", f"local,id=fs{number},path={path},security_model={model},multidevs=remap",
                "-device", f"virtio-9p-pci,fsdev=fs{number},mount_tag=share{number}",
            ]  # fmt: skip
        return words

    def run(self, command, limit_seconds):
        """Runs a command as root, with the caller's streams; returns its status, or OUT_OF_TIME."""
        deadline = time.monotonic() + limit_seconds
        self.wait_for_ssh(min(deadline, time.monotonic() + BOOT_SECONDS))
        lines = ["systemctl is-system-running --wait >/dev/null"]
        for number, (_, there) in enumerate(self.shares):
            place = shlex.quote(str(there))
            mount = f"mount -t 9p -o {SHARE_OPTIONS} share{number} {place}"
            lines.append(f"mkdir -p {place} && {mount} || exit {FAILED}")
        lines += [" ".join(shlex.quote(str(word)) for word in command), "status=$?"]
        lines += [f"sync -f {shlex.quote(str(there))}" for _, there in self.shares]
        lines.append("exit $status")
        ssh = subprocess.Popen([*self.ssh(), "\n".join(lines)])
        try:
            status = ssh.wait(max(deadline - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            print(f"time limit reached; the console ends with:\n{self.tail('console')}", file=sys.stderr)
            return OUT_OF_TIME
        finally:
            ssh.kill()
        # 255 is ssh's own status, as when the guest's kernel has panicked.
        if status == 255:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
                raise self.ended()
        if self.keep and not status:
            self.power_off()
        return status

    def power_off(self):
        """Waits until the guest has written everything to its disk."""
        subprocess.run([*self.ssh(), "systemctl poweroff"], stdin=subprocess.DEVNULL)
        try:
            self.process.wait(200)
        except subprocess.TimeoutExpired:
            raise Failed(f"no end of the shutdown:\n{self.tail('console')}") from None

    def ssh(self):
        options = (
            "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes",
            "GlobalKnownHostsFile=/dev/null", "ConnectTimeout=60", "ServerAliveInterval=0",
        )  # fmt: skip
        words = ["ssh", "-q", "-F", "none", "-T", "-i", f"{self.image}/key", "-p", str(self.port)]
        return [*words, *(f"-o{option}" for option in options), "root@127.0.0.1"]

    def wait_for_ssh(self, deadline):
        """Waits for the greeting of the guest's sshd: qemu accepts connections before the guest does."""
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise self.ended()
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.settimeout(5)
                    if connection.recv(4) == b"SSH-":
                        return
            time.sleep(0.2)
        raise Failed(f"the guest did not come up:\n{self.tail('console')}")

    def ended(self):
        """What to raise for a guest that ended early."""
        console = self.tail("console")
        kind = Panicked if "Kernel panic" in console else Failed
        return kind(f"the guest ended:\n{self.tail('log')}{console}")

    def tail(self, name):
        """The end of one of the machine's files."""
        with contextlib.suppress(OSError):
            return (self.folder / name).read_text(errors="replace")[-6000:]
        return ""
