# SPDX-License-Identifier: Apache-2.0
"""The image of the test VM with the kernel of another release of Debian: a copy of the image, changed by its guest."""

import pathlib
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "suites"))

import image  # noqa: E402
import sources  # noqa: E402
from machine import Failed, Machine  # noqa: E402

# Where the guest finds the package, and leaves the kernel and the initramfs.
SHARE = "/mnt/kernel"
# What makes the image out of the first one: after a change of these, it is made anew.
MAKERS = ("kernel.py", "guest-kernel")


def newest(suite):
    """The kernel that the release's package linux-image-amd64 depends on now."""
    options = sources.apt(suite)
    sources.checked("apt-get", "-qq", *options, "update")
    listed = sources.checked("apt-cache", *options, "depends", "linux-image-amd64")
    (package,) = [line.split()[1] for line in listed.splitlines() if "Depends: linux-image-" in line]
    return package


def fetch(suite, package, place):
    """Downloads a kernel's packages: one, or since Linux 7 of Debian one that names those with kernel and modules."""
    image.step(f"{package} of Debian {suite}")
    release = package.removeprefix("linux-image-")
    listed = sources.checked("apt-cache", *sources.apt(suite), "depends", package)
    parts = [f"linux-{part}-{release}" for part in ("binary", "modules") if f"linux-{part}-{release}" in listed.split()]
    sources.checked("apt-get", "-qq", *sources.apt(suite), "download", package, *parts, cwd=place)
    return sorted(place.glob("*.deb"))


def name(base, suite, package):
    """The name of the image's folder."""
    return f"{base.name}-{suite}-{package}-{image.digest(MAKERS)[:8]}"


def build(suite):
    """Makes the image if there is none with the newest kernel of that release, and removes those with others."""
    image.build()
    with image.only_builder():
        base = image.ready()
        try:
            package = newest(suite)
        except (ValueError, sources.Unavailable) as error:
            raise image.Unavailable(str(error)) from None
        done = base.with_name(name(base, suite, package))
        if done.is_dir():
            return
        for old in image.CACHE.glob(f"{base.name}-{suite}-*"):
            shutil.rmtree(old)
        place = pathlib.Path(tempfile.mkdtemp(prefix="new.", dir=image.CACHE))
        try:
            archives = fetch(suite, package, place)
            for name in ("key", "key.pub", "vmlinuz", "initrd"):
                shutil.copy(base / name, place)
            image.checked("cp", "--sparse=always", base / "disk.raw", place)
            shares = [(HERE, HERE), (place, SHARE)]
            with Machine(place, shares, keep=True) as machine:
                command = [HERE / "guest-kernel", SHARE, *[f"{SHARE}/{archive.name}" for archive in archives]]
                if status := machine.run(command, limit_seconds=900):
                    raise image.Unavailable(f"guest-kernel ended with status {status}")
            for name in ("vmlinuz", "initrd"):
                (place / f"{name}.new").rename(place / name)
            for archive in archives:
                archive.unlink()
            place.rename(done)
        except (Failed, OSError, ValueError, sources.Unavailable) as error:
            raise image.Unavailable(str(error)) from None
        finally:
            shutil.rmtree(place, ignore_errors=True)
        image.step(f"ready: {done}")
