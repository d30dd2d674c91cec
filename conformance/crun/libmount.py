# SPDX-License-Identifier: Apache-2.0
"""What crun's tests use of the Python module of libmount, which Debian does not have."""

import dataclasses


@dataclasses.dataclass
class FileSystem:
    target: str
    vfs_options: str
    fs_options: str


class Table:
    """The mounts in a file of the format of /proc/PID/mountinfo."""

    def __init__(self, path):
        with open(path) as file:
            self.mounts = [parsed(line) for line in file if line.strip()]

    def find_target(self, path):
        """The first mount at a path."""
        return next(mount for mount in self.mounts if mount.target == path)


def parsed(line):
    # Any number of optional fields, such as shared:1, come before the dash.
    mount, of_type = line.split(" - ", 1)
    fields = mount.split(" ")
    # The source, in between, may be empty.
    _, _, options = of_type.rstrip("\n").split(" ")
    return FileSystem(target=fields[4], vfs_options=fields[5], fs_options=options)
