// SPDX-License-Identifier: Apache-2.0
// Runs /bin/true with the namespaces, mounts and root of the bench's config: the minimum that every runtime must do.
//
//     bare ROOTFS [CGROUP]
//
// CGROUP is a directory on cgroup v2 that is made for the process and removed at the end. There is no config, state,
// capability, device filter or check here, and paths of the root file system are trusted.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(call) ((call) < 0 ? (perror(#call), _exit(126)) : (void)0)
#define COUNT(list) (sizeof list / sizeof list[0])

enum { plain = MS_NOSUID | MS_NOEXEC, closed = plain | MS_NODEV };

static const struct {
    const char *path, *type, *data;
    unsigned long flags;
} mounts[] = {
    {"proc", "proc", 0, 0},
    {"dev", "tmpfs", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME},
    {"dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", plain},
    {"dev/shm", "tmpfs", "mode=1777,size=65536k", closed},
    {"dev/mqueue", "mqueue", 0, closed},
    {"sys", "sysfs", 0, closed | MS_RDONLY},
    {"sys/fs/cgroup", "cgroup2", 0, closed | MS_RELATIME | MS_RDONLY},
};
static const struct {
    const char *path;
    unsigned major, minor;
} devices[] = {
    {"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
    {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
};
static const char *const links[][2] = {
    {"pts/ptmx", "dev/ptmx"},           {"/proc/self/fd", "dev/fd"},
    {"/proc/self/fd/0", "dev/stdin"},   {"/proc/self/fd/1", "dev/stdout"},
    {"/proc/self/fd/2", "dev/stderr"},
};
static const char *const read_only[] = {
    "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
static const char *const masked[] = {
    "proc/acpi",        "proc/asound",      "proc/kcore",       "proc/keys",    "proc/latency_stats",
    "proc/timer_list",  "proc/timer_stats", "proc/sched_debug", "sys/firmware", "proc/scsi",
};

static void make_read_only(const char *path) {
    if (mount(path, path, 0, MS_BIND | MS_REC, 0) < 0 && errno == ENOENT)
        return;
    CHECK(mount(0, path, 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
}

// A file is masked by the null device, a directory by an empty file system, which all directories share.
static void mask(const char *path, const char **empty) {
    struct stat found;
    if (stat(path, &found) < 0)
        return;
    if (!S_ISDIR(found.st_mode)) {
        CHECK(mount("/dev/null", path, 0, MS_BIND, 0));
    } else if (*empty) {
        CHECK(mount(*empty, path, 0, MS_BIND, 0));
    } else {
        CHECK(mount("tmpfs", path, "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=2"));
        *empty = path;
    }
}

static void become_container(const char *root) {
    CHECK(unshare(CLONE_NEWCGROUP));
    CHECK(sethostname("bench", 5));
    CHECK(mount(0, "/", 0, MS_REC | MS_SLAVE, 0));
    CHECK(mount(root, root, 0, MS_BIND | MS_REC, 0));
    CHECK(chdir(root));
    umask(0);
    for (unsigned i = 0; i < COUNT(mounts); i++) {
        mkdir(mounts[i].path, 0755);
        CHECK(mount(mounts[i].type, mounts[i].path, mounts[i].type, mounts[i].flags, mounts[i].data));
    }
    for (unsigned i = 0; i < COUNT(devices); i++)
        CHECK(mknod(devices[i].path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)));
    for (unsigned i = 0; i < COUNT(links); i++)
        CHECK(symlink(links[i][0], links[i][1]));
    for (unsigned i = 0; i < COUNT(read_only); i++)
        make_read_only(read_only[i]);
    const char *empty = 0;
    for (unsigned i = 0; i < COUNT(masked); i++)
        mask(masked[i], &empty);
    CHECK(mount(0, root, 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
    CHECK(syscall(SYS_pivot_root, ".", "."));
    CHECK(umount2(".", MNT_DETACH));
    CHECK(chdir("/"));
}

int main(int count, char **words) {
    if (count < 2)
        return fprintf(stderr, "usage: bare ROOTFS [CGROUP]\n"), 2;
    struct clone_args arguments = {
        .flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET,
        .exit_signal = SIGCHLD,
    };
    if (count > 2) {
        CHECK(mkdir(words[2], 0755));
        int cgroup = open(words[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
        CHECK(cgroup);
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup;
    }
    long child = syscall(SYS_clone3, &arguments, sizeof arguments);
    CHECK(child);
    if (child == 0) {
        become_container(words[1]);
        char *const program[] = {"/bin/true", 0}, *const variables[] = {"PATH=/bin", 0};
        CHECK(execve(program[0], program, variables));
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0));
    if (count > 2)
        CHECK(rmdir(words[2]));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
