# SPDX-License-Identifier: Apache-2.0
"""The image of the test VM: a Debian root disk, its kernel, a small initramfs and a key for ssh.

It is in a folder named by a digest of its description (guest.py, guest-setup and guest-init): after a change
of these files there is no image until conformance/vm/build makes one.
"""

import contextlib
import fcntl
import hashlib
import lzma
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import guest
from machine import Failed, Machine

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "swrunc-test-vm"
DESCRIPTION = ("guest.py", "guest-setup", "guest-init")

# Packages that the host needs to build and start the image.
HOST_PACKAGES = ("mmdebstrap", "qemu-system-x86", "e2fsprogs", "openssh-client")
APT = ("apt-get", "-qq", "-oDPkg::Lock::Timeout=300")


class Unavailable(Exception):
    """There is no image, or it cannot be made; the message says why."""


def digest(names):
    """The digest of files of this folder, in hexadecimal."""
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in names)).hexdigest()


def folder():
    """The folder of the image with this description, which need not exist yet."""
    return CACHE / digest(DESCRIPTION)[:16]


def ready(suite=None):
    """The folder of the complete image, or of that with the kernel of another release of Debian."""
    image = folder()
    if suite:
        # The name goes on with that of the kernel's package; the builder leaves one.
        made = sorted(CACHE.glob(f"{image.name}-{suite}-*"))
        if not made:
            raise Unavailable(f"no image in {CACHE} with a kernel of {suite}; as root: {HERE / 'build'} {suite}")
        return made[0]
    if not image.is_dir():
        raise Unavailable(f"no image in {image}; as root: {HERE / 'build'}")
    return image


def packages():
    """The packages of the guest, with their versions."""
    return dict(line.split() for line in (ready() / "packages").read_text().splitlines())


def step(text):
    print(f"test VM: {text}", file=sys.stderr, flush=True)


def checked(*command, stdout=sys.stderr, **options):
    """Runs a command to its end; its output goes to standard error, for people."""
    words = [str(word) for word in command]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=stdout, **options)
    try:
        status = process.wait()
    except BaseException:
        # It may have something to clean up.
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    if status:
        raise Unavailable(f"{words[0]}: status {status}")


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def install():
    """Installs missing packages that the host needs."""
    if not shutil.which("apt-get") or os.uname().machine != "x86_64":
        raise Unavailable("the test VM is made on Debian, on x86_64")
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *HOST_PACKAGES],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout.splitlines()
    missing = [name for name in HOST_PACKAGES if f"installed {name}" not in listed]
    if not missing:
        return
    step(f"installing {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wanted = [*APT, "install", "--no-install-recommends", *missing]
    try:
        checked(*wanted, env=environment)
    except Unavailable:
        checked(*APT, "update")
        checked(*wanted, env=environment)


def mirror():
    """The mirror that apt uses for Debian's main archive on this machine."""
    release = dict(
        line.rstrip().replace('"', "").split("=", 1)
        for line in pathlib.Path("/etc/os-release").read_text().splitlines()
        if "=" in line
    )
    if release.get("ID") != "debian":
        raise Unavailable("the mirror that apt uses is none of Debian's")
    wanted = [f"Codename: {release['VERSION_CODENAME']}", "Component: main"]
    ask = ("apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted)
    named = output_of(*ask).split()
    if not named:
        # Its lists have not been fetched yet.
        checked(*APT, "update")
        named = output_of(*ask).split()
    if not named:
        raise Unavailable("apt knows no mirror of Debian's main archive")
    return named[0]


def unpack(root):
    """Installs the guest's packages into a folder."""
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in guest.LEFT_OUT]
    checked(
        "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--components=main",
        f"--include={','.join(guest.PACKAGES)}", *left_out, guest.SUITE, root, mirror(),
        # The initramfs is ours.
        env={**os.environ, "INITRD": "No"},
    )  # fmt: skip


def set_up(root, key):
    """Runs guest-setup in the new root."""
    for file in (HERE / "guest-setup", key):
        shutil.copy(file, root / "tmp")
    checked("chroot", root, "/bin/sh", "/tmp/guest-setup", f"/tmp/{key.name}")
    for file in (root / "tmp").iterdir():
        file.unlink()


def make_initramfs(root, release, file, *more):
    """An archive of busybox, guest-init, and a kernel's modules for disk and network; `more` names further modules."""
    with tempfile.TemporaryDirectory(dir=root / "tmp") as place:
        early = pathlib.Path(place)
        for name in ("bin", "dev", "proc", "sys", "newroot"):
            (early / name).mkdir()
        shutil.copy(root / "usr/bin/busybox", early / "bin")
        shutil.copy(HERE / "guest-init", early / "init")
        show = ("modprobe", "-S", release, "-a", "--show-depends", *more, *guest.EARLY_MODULES)
        lines = output_of("chroot", root, *show).splitlines()
        modules = dict.fromkeys(line.split()[1] for line in lines if line.startswith("insmod "))
        for number, module in enumerate(modules):
            # They are loaded in the order of their names.
            source = root / module[1:]
            copy = early / f"{number:02}-{source.name.removesuffix('.xz')}"
            opened = lzma.open if source.suffix == ".xz" else open
            with opened(source, "rb") as packed:
                copy.write_bytes(packed.read())
        pack = "cd /tmp/$0 && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1"
        with open(file, "wb") as output:
            checked("chroot", root, "sh", "-c", pack, early.name, stdout=output)


def label(root):
    """Writes SELinux's labels, which are used when the VM is booted with SELinux."""
    contexts = "/etc/selinux/default/contexts/files/file_contexts"
    checked("chroot", root, "setfiles", "-F", contexts, "/")
    # Otherwise the first boot with SELinux labels everything again, and reboots.
    (root / ".autorelabel").unlink(missing_ok=True)


def make(place):
    """Makes the image in an empty folder."""
    root = place / "root"
    step(f"packages of Debian {guest.SUITE}")
    unpack(root)
    step("settings, initramfs, labels")
    checked("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", CACHE.name, "-f", place / "key")
    set_up(root, place / "key.pub")
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    shutil.copy(kernel, place / "vmlinuz")
    make_initramfs(root, kernel.name.removeprefix("vmlinuz-"), place / "initrd")
    label(root)
    step("disk")
    with open(place / "packages", "wb") as output:
        ask = ("dpkg-query", "-W", "-f", "${Package} ${Version}\n")
        checked("chroot", root, *ask, stdout=output)
    checked("truncate", "-s", guest.DISK_SIZE, place / "disk.raw")
    # Neither this program nor the guest zeroes the inode tables.
    lazy = "lazy_itable_init=1,lazy_journal_init=1"
    checked("mke2fs", "-q", "-t", "ext4", "-E", lazy, "-d", root, place / "disk.raw")
    shutil.rmtree(root)
    step("first boot")
    with Machine(place, keep=True) as machine:
        if status := machine.run(["/usr/local/sbin/first-boot"], limit_seconds=1200):
            raise Unavailable(f"the first boot ended with status {status}")


@contextlib.contextmanager
def only_builder():
    """Allows only one build at a time; a second one waits, and finds the image."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build():
    """Makes the image if there is none with this description, and removes images with others."""
    with only_builder():
        install()
        image = folder()
        if image.is_dir():
            return
        for old in CACHE.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
        place = pathlib.Path(tempfile.mkdtemp(prefix="new.", dir=CACHE))
        try:
            make(place)
            place.rename(image)
        except (Failed, OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(str(error)) from None
        finally:
            shutil.rmtree(place, ignore_errors=True)
        step(f"ready: {image}")
