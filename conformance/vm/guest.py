# SPDX-License-Identifier: Apache-2.0
"""The packages of the test VM's guest; guest-setup has its accounts and settings."""

SUITE = "trixie"
# The file is sparse: it uses only as much space as is written.
DISK_SIZE = "16G"
# The system, the programs that the tests use, and the engines with the programs that they use.
PACKAGES = """
    linux-image-amd64 kmod udev systemd systemd-sysv dbus dbus-user-session libpam-systemd openssh-server
    apparmor selinux-policy-default selinux-utils policycoreutils
    busybox-static bats jq python3 python3-grpcio iproute2 procps uidmap ca-certificates
    runc crun docker.io docker-cli docker-buildx docker-compose containerd podman buildah conmon
    criu rootlesskit slirp4netns passt fuse-overlayfs catatonit tini
    netavark aardvark-dns containernetworking-plugins iptables nftables
""".split()
# The guest needs no man pages, other languages and the like.
LEFT_OUT = ("man", "doc", "locale")
# Modules that the initramfs needs for the disk, and for the network card, whose address it sets.
EARLY_MODULES = ("virtio_blk", "virtio_net", "ext4")
