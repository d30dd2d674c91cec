# SPDX-License-Identifier: Apache-2.0
"""What the guest of the test VM is made of; guest-setup has its accounts and settings."""

SUITE = "trixie"
# The file is sparse: it takes what is written.
DISK_SIZE = "16G"
# The system, what the tests call, and the engines with what they call.
PACKAGES = """
    linux-image-amd64 kmod udev systemd systemd-sysv dbus dbus-user-session libpam-systemd openssh-server
    apparmor selinux-policy-default selinux-utils policycoreutils
    busybox-static bats jq python3 python3-grpcio iproute2 procps uidmap ca-certificates
    runc crun docker.io docker-cli docker-buildx docker-compose containerd podman buildah conmon
    criu rootlesskit slirp4netns passt fuse-overlayfs catatonit tini
    netavark aardvark-dns containernetworking-plugins iptables nftables
""".split()
# Of man pages, other languages and the like the guest has no use.
LEFT_OUT = ("man", "doc", "locale")
# What the initramfs needs to reach the disk, and the network card, whose address it sets.
EARLY_MODULES = ("virtio_blk", "virtio_net", "ext4")
