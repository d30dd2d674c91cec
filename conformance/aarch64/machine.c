// SPDX-License-Identifier: Apache-2.0
//
// Runs programs on the machine without anything of Swift: `machine FOLDER [RUNNER]`. RUNNER, such as qemu-aarch64,
// starts init's executable where the kernel cannot; FOLDER must not exist. Each line of the output is a rule that holds.
#define _GNU_SOURCE
#include <InitMachine.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { instructions = 16, second_part = 0x10000 };

/// An image, as the lowering lays it out: the program, its instructions, cells and memory.
struct image {
    struct machine_program program;
    struct machine_instruction code[instructions];
    int64_t cells[8];
    char memory[256];
};

static const char *folder, *runner;
static struct image image;
static int used;
static char executable[4096];

static void fail(const char *what) {
    printf("FAILED  %s: %s\n", what, strerror(errno));
    exit(1);
}

static void expect(int holds, const char *rule) {
    if (!holds)
        fail(rule);
    printf("ok  %s\n", rule);
}

/// The address in the child of a part of the image.
static int64_t in_child(const void *part, int64_t base) {
    return base + ((const char *)part - (const char *)&image);
}

static struct machine_instruction *add(int kind) {
    struct machine_instruction *made = &image.code[used++];
    made->kind = (uint8_t)kind;
    made->result = MACHINE_NO_CELL;
    return made;
}

static struct machine_instruction *call(long number, int64_t a, int64_t b, int64_t c, int64_t d) {
    struct machine_instruction *made = add(MACHINE_CALL);
    made->number = number;
    made->operand[0] = a, made->operand[1] = b, made->operand[2] = c, made->operand[3] = d;
    return made;
}

static void begin(void) {
    memset(&image, 0, sizeof image);
    used = 0;
}

static int file_with(const void *bytes, size_t size, const char *name) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0700);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size)
        fail(path);
    return file;
}

/// How a program ended, and its progress page.
struct ended {
    pid_t pid;
    int status;
    struct machine_progress progress;
};

static struct ended run(int64_t base, const void *first, size_t first_bytes) {
    image.program.start = (void *)in_child(image.code, base);
    image.program.origin = image.program.start;
    image.program.cells = (void *)in_child(image.cells, base);
    image.program.progress = (void *)machine_page_address;
    static char file[second_part + sizeof(struct image)];
    memset(file, 0, sizeof file);
    size_t size;
    if (first) {
        memcpy(file, first, first_bytes);
        memcpy(file + second_part, &image, sizeof image);
        size = sizeof file;
    } else {
        memcpy(file, &image, sizeof image);
        size = first_bytes = sizeof image;
    }
    int data = file_with(file, size, "image"), page = file_with(calloc(1, 8192), 8192, "page");
    char words[3][24];
    snprintf(words[0], 24, "%d", data);
    snprintf(words[1], 24, "%d", page);
    snprintf(words[2], 24, "%zu", first_bytes);
    struct ended ended;
    ended.pid = fork();
    if (ended.pid == 0) {
        char *const list[] = {(char *)runner, executable, "init", words[0], words[1], words[2], 0};
        // The name of the process is the first argument: qemu-user gives the program's path for it.
        char *const plain[] = {"container", "init", words[0], words[1], words[2], 0};
        if (runner)
            execvp(runner, list);
        else
            execv(executable, plain);
        _exit(99);
    }
    int status = 0;
    if (ended.pid < 0 || waitpid(ended.pid, &status, 0) != ended.pid)
        fail("fork");
    ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    if (pread(page, &ended.progress, sizeof ended.progress, 0) != sizeof ended.progress)
        fail("the progress page");
    close(data);
    close(page);
    return ended;
}

static void elf_header(const unsigned char *bytes, unsigned long size) {
    const Elf64_Ehdr *header = (const void *)bytes;
    const Elf64_Phdr *segments = (const void *)(bytes + header->e_phoff);
#if defined(__aarch64__)
    int own = EM_AARCH64;
#else
    int own = EM_X86_64;
#endif
    expect(header->e_machine == own && header->e_type == ET_EXEC, "the executable is of this architecture");
    expect(segments[0].p_filesz == size && segments[0].p_align == 0x10000,
           "its segment is all of it, for pages of up to 64 KiB");
    expect(header->e_entry > segments[0].p_vaddr && header->e_entry < segments[0].p_vaddr + size, "its entry is inside");
}

/// A pid, by way of a cell and of memory; a call that may fail; a skip.
static void calls_and_cells(void) {
    int out = file_with("", 0, "output");
    begin();
    const int64_t base = machine_image_address;
    call(__NR_getpid, 0, 0, 0, 0)->result = 0;
    struct machine_instruction *copy = add(MACHINE_COPY);
    copy->result = 0, copy->operand[0] = in_child(image.memory + 3, base), copy->operand[1] = 8;
    call(__NR_write, out, in_child(image.memory + 3, base), 8, 0);
    struct machine_instruction *refused = call(__NR_close, -1, 0, 0, 0);
    refused->result = 1, refused->ignored[2] = EBADF;
    copy = add(MACHINE_COPY);
    copy->result = 1, copy->operand[0] = in_child(image.memory + 32, base), copy->operand[1] = 8;
    struct machine_instruction *skip = add(MACHINE_SKIP);
    skip->operand[0] = in_child(image.memory + 32, base), skip->operand[1] = 0xffff, skip->distance = 1;
    skip->operand[2] = -EBADF & 0xffff;
    call(__NR_exit_group, 1, 0, 0, 0);
    // Not openat2, which qemu-user does not know.
    strcpy(image.memory + 96, "/proc");
    struct machine_instruction *opening =
        call(__NR_openat, AT_FDCWD, in_child(image.memory + 96, base), O_DIRECTORY | O_PATH | O_CLOEXEC, 0);
    opening->result = 2, opening->retries = 3;
    struct machine_instruction *closing = call(__NR_close, 2, 0, 0, 0);
    closing->cell_operands = 1;
    call(__NR_exit_group, 7, 0, 0, 0);
    struct ended ended = run(base, 0, 0);
    int64_t pid = 0;
    expect(ended.status == 7, "calls, cells, copies, a skip and an ignored errno: the program ends as it says");
    expect(pread(out, &pid, 8, 0) == 8 && pid == ended.pid, "the child has told its pid through a cell and memory");
    expect(ended.progress.index == 8 && ended.progress.error == 0, "the progress page has the last call");
    close(out);
}

static void refusals(void) {
    begin();
    call(__NR_getpid, 0, 0, 0, 0);
    call(__NR_mkdirat, -1, in_child(image.memory, machine_image_address), 0755, 0);
    strcpy(image.memory, "beneath");
    call(__NR_exit_group, 0, 0, 0, 0);
    struct ended ended = run(machine_image_address, 0, 0);
    expect(ended.status == machine_failure_status && ended.progress.index == 1 && ended.progress.error == EBADF,
           "a refused call ends the program, and the page tells which and why");
}

static void entering(void) {
    begin();
    call(__NR_exit_group, 11, 0, 0, 0);
    struct image second = image;
    struct machine_program first = {
        .start = (void *)(machine_image_address + sizeof first), .origin = (void *)(machine_image_address + sizeof first)};
    struct {
        struct machine_program program;
        struct machine_instruction enter;
    } part = {first, {.kind = MACHINE_ENTER}};
    // The image is the first file that `run` opens: the lowest free descriptor.
    int next = open("/dev/null", O_RDONLY);
    close(next);
    part.enter.operand[0] = machine_image_address + second_part;
    part.enter.operand[1] = next;
    part.enter.operand[2] = second_part;
    image = second;
    struct ended ended = run(machine_image_address + second_part, &part, sizeof part);
    expect(ended.status == 11, "the rest of an image is mapped behind its first part, and entered");
}

/// At the call at which it waits, the process gives back its image and goes on with it afterwards.
static void resting(void) {
    begin();
    call(__NR_getpid, 0, 0, 0, 0);
    struct machine_instruction *rest = call(__NR_getppid, 0, 0, 0, 0);
    call(__NR_exit_group, 13, 0, 0, 0);
    image.program.rest = (void *)in_child(rest, machine_image_address);
    image.program.idle = (void *)(int64_t)machine_image_address;
    image.program.idle_bytes = 4096;
    expect(run(machine_image_address, 0, 0).status == 13, "a process that has given back its image goes on with it");
}

static void no_image(void) {
    char zero[24] = "0";
    pid_t pid = fork();
    if (pid == 0) {
        char *const list[] = {(char *)runner, executable, "init", zero, 0};
        if (runner)
            execvp(runner, list);
        else
            execv(executable, list + 1);
        _exit(99);
    }
    int status = 0;
    expect(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 127,
           "the executable without an image ends");
}

static void make_file(const char *name, const char *text, mode_t mode) {
    char path[4200];
    snprintf(path, sizeof path, "%s/source/%s", folder, name);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (file < 0 || write(file, text, strlen(text)) < 0 || fchmod(file, mode) != 0)
        fail(path);
    fsetxattr(file, "user.note", "kept", 4, 0);
    close(file);
}

/// A directory with a file, a link, a FIFO, a hole and a directory; `run` compares it with its copy.
static void copying(void) {
    char path[4300];
    const char *folders[] = {"source", "source/deep", "source/deep/deeper", "target"};
    for (int index = 0; index < 4; index++) {
        snprintf(path, sizeof path, "%s/%s", folder, folders[index]);
        if (mkdir(path, 0755) != 0)
            fail(path);
    }
    make_file("plain", "text\n", 0640);
    make_file("deep/deeper/program", "#!/bin/sh\n", 04755);
    snprintf(path, sizeof path, "%s/source/link", folder);
    if (symlink("/nowhere", path) != 0)
        fail(path);
    snprintf(path, sizeof path, "%s/source/pipe", folder);
    if (mkfifo(path, 0622) != 0)
        fail(path);
    snprintf(path, sizeof path, "%s/source/sparse", folder);
    int sparse = open(path, O_WRONLY | O_CREAT, 0600);
    if (sparse < 0 || ftruncate(sparse, 1 << 22) != 0 || pwrite(sparse, "end", 3, (1 << 22) - 3) != 3)
        fail(path);
    close(sparse);
    snprintf(path, sizeof path, "%s/source", folder);
    int source = open(path, O_RDONLY | O_DIRECTORY);
    snprintf(path, sizeof path, "%s/target", folder);
    int target = open(path, O_RDONLY | O_DIRECTORY);
    begin();
    struct tree_copy_order order = {source, target, -1, -1, 0751};
    memcpy(image.memory, &order, sizeof order);
    struct machine_instruction *copy = add(MACHINE_COPY_TREE);
    copy->operand[0] = in_child(image.memory, machine_image_address);
    call(__NR_exit_group, 0, 0, 0, 0);
    struct ended ended = run(machine_image_address, 0, 0);
    struct stat found;
    expect(ended.status == 0 && ended.progress.error == 0, "a tree is copied");
    expect(fstat(target, &found) == 0 && (found.st_mode & 07777) == 0751, "the target has the mode of the order");
    snprintf(path, sizeof path, "%s/target/sparse", folder);
    expect(stat(path, &found) == 0 && found.st_size == 1 << 22 && found.st_blocks < 64, "holes stay holes");
}

/// The clones, where clone3 is there: a copied child, and one that is born empty.
static void clones(const unsigned char *bytes, unsigned long size) {
    begin();
    call(__NR_exit_group, 5, 0, 0, 0);
    struct machine_progress *page =
        mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct machine_program program = {image.code, image.code, image.cells, page, 0, 0, 0};
    clinux_clone_args arguments = {.exit_signal = SIGCHLD};
    long pid = machine_start(&arguments, &program);
    if (pid == -ENOSYS) {
        printf("not run  the clones: clone3 is not there (qemu-user)\n");
        return;
    }
    int status = 0;
    expect(pid > 0 && waitpid((pid_t)pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5,
           "a copied child runs its program");
    int memory = memfd_create("init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0 || write(memory, bytes, size) != (ssize_t)size || fcntl(memory, F_ADD_SEALS, 15) != 0)
        fail("a sealed memory file");
    const char *const words[] = {"container", "init", "999", "999", "1", 0};
    struct machine_executable_start start = {.executable = memory, .arguments = words};
    arguments = (clinux_clone_args){.flags = 0x4000 | 0x100, .exit_signal = SIGCHLD};
    pid = machine_start_executable(&arguments, &start);
    expect(pid > 0 && start.error == 0 && waitpid((pid_t)pid, &status, 0) == pid && WEXITSTATUS(status) == 127,
           "a child executes the machine from a sealed memory file");
}

int main(int count, char **words) {
    if (count < 2 || mkdir(words[1], 0755) != 0)
        fail("machine FOLDER [RUNNER]");
    setvbuf(stdout, 0, _IONBF, 0);
    umask(0);
    folder = words[1];
    runner = count > 2 ? words[2] : 0;
    static unsigned char bytes[16384] __attribute__((aligned(16)));
    unsigned long size = machine_executable(bytes, sizeof bytes);
    expect(size > 256 && machine_executable(bytes, size - 1) == 0, "the executable fits its room or is refused");
    machine_executable(bytes, sizeof bytes);
    elf_header(bytes, size);
    snprintf(executable, sizeof executable, "%s/init", folder);
    close(file_with(bytes, size, "init"));
    calls_and_cells();
    refusals();
    entering();
    resting();
    no_image();
    copying();
    clones(bytes, size);
    return 0;
}
