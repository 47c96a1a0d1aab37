/* Numbers the system calls with which a program makes something durable or sends it, and kills the program at one.
 *
 *     tracer REPORT N MODE COMMAND ARGUMENT...
 *
 * N is the number of the call at which the program is killed; with 0 it runs to its end and is only counted.
 * MODE is `before` (the call is not made), `middle` (half of the bytes of a write are written) or `after` (the call is
 * made, and does not return). REPORT gets a line for each call when it is reached:
 *
 *     NUMBER KIND CALL TARGET <tab> ONTO
 *                                 ONTO is where a rename leads to; KIND is `write` (bytes, can be cut in the middle), `send` (bytes to a socket, too) or
 *                                 `step` (done or not done)
 *     killed NUMBER MODE
 *     unseen CALL TARGET          a way to make something durable that this program does not number
 *
 * A filter (seccomp) stops the program at these calls and no others, so that all the rest runs at full speed. The
 * kernel sees every call: those that a library makes without the C library (rustix does, for the very renames that a
 * wallet's safety hangs on) as well.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define THIRD_ARGUMENT(registers) ((registers).rdx)
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#define THIRD_ARGUMENT(registers) ((registers).regs[2])
#else
#error "the registers of this processor are not known here"
#endif

#ifdef SYS_rename
#define RENAME SYS_rename
#else
#define RENAME (-1)
#endif
#ifdef SYS_renameat
#define RENAMEAT SYS_renameat
#else
#define RENAMEAT (-1)
#endif

/* linux/ptrace.h, which cannot be included beside sys/ptrace.h. */
#define GET_SYSCALL_INFO 0x420e
enum { INFO_SECCOMP = 3 };
struct syscall_info {
    uint8_t op;
    uint8_t pad[3];
    uint32_t arch;
    uint64_t instruction_pointer, stack_pointer;
    struct { uint64_t nr, args[6]; uint32_t ret_data; } seccomp;
};

enum shape {
    STEP_FD,    /* first argument is a descriptor; done or not done */
    STEP_PATH,  /* first argument is a path */
    STEP_AT,    /* second argument is a path */
    WRITE,      /* descriptor, buffer, length */
    WRITE_V,    /* descriptor, vector, length of the vector */
    SEND_MSG,   /* descriptor, message header */
    MAP,        /* fifth argument is a descriptor; shared and writable by the filter */
    UNSEEN      /* nothing here knows how to cut it: its use is told, and fails the test */
};

struct call { long number; const char *name; enum shape shape; int flags_argument; uint32_t flags; };

/* With flags, a call is stopped at only if one of them is set in the argument named. */
static const struct call CALLS[] = {
    {SYS_write, "write", WRITE, -1, 0},
    {SYS_pwrite64, "pwrite", WRITE, -1, 0},
    {SYS_writev, "writev", WRITE_V, -1, 0},
    {SYS_pwritev, "pwritev", WRITE_V, -1, 0},
    {SYS_pwritev2, "pwritev2", WRITE_V, -1, 0},
    {SYS_sendto, "sendto", WRITE, -1, 0},
    {SYS_sendmsg, "sendmsg", SEND_MSG, -1, 0},
    {SYS_fsync, "fsync", STEP_FD, -1, 0},
    {SYS_fdatasync, "fdatasync", STEP_FD, -1, 0},
    {SYS_ftruncate, "ftruncate", STEP_FD, -1, 0},
    {SYS_fallocate, "fallocate", STEP_FD, -1, 0},
    {SYS_fchmod, "fchmod", STEP_FD, -1, 0},
    {SYS_fchown, "fchown", STEP_FD, -1, 0},
    {SYS_truncate, "truncate", STEP_PATH, -1, 0},
#ifdef SYS_open
    {SYS_open, "open", STEP_PATH, 1, O_CREAT | O_TRUNC},
    {SYS_creat, "creat", STEP_PATH, -1, 0},
    {SYS_rename, "rename", STEP_PATH, -1, 0},
    {SYS_link, "link", STEP_PATH, -1, 0},
    {SYS_symlink, "symlink", STEP_PATH, -1, 0},
    {SYS_unlink, "unlink", STEP_PATH, -1, 0},
    {SYS_rmdir, "rmdir", STEP_PATH, -1, 0},
    {SYS_mkdir, "mkdir", STEP_PATH, -1, 0},
    {SYS_mknod, "mknod", STEP_PATH, -1, 0},
    {SYS_chmod, "chmod", STEP_PATH, -1, 0},
    {SYS_chown, "chown", STEP_PATH, -1, 0},
#endif
    {SYS_openat, "openat", STEP_AT, 2, O_CREAT | O_TRUNC},
#ifdef SYS_renameat
    {SYS_renameat, "renameat", STEP_AT, -1, 0},
#endif
    {SYS_renameat2, "renameat2", STEP_AT, -1, 0},
    {SYS_linkat, "linkat", STEP_AT, -1, 0},
    {SYS_symlinkat, "symlinkat", STEP_PATH, -1, 0},
    {SYS_unlinkat, "unlinkat", STEP_AT, -1, 0},
    {SYS_mkdirat, "mkdirat", STEP_AT, -1, 0},
    {SYS_mknodat, "mknodat", STEP_AT, -1, 0},
    {SYS_fchmodat, "fchmodat", STEP_AT, -1, 0},
    {SYS_fchownat, "fchownat", STEP_AT, -1, 0},
    {SYS_mmap, "mmap", MAP, 3, MAP_SHARED},
    {SYS_msync, "msync", UNSEEN, -1, 0},
    {SYS_openat2, "openat2", UNSEEN, -1, 0},
    {SYS_sendmmsg, "sendmmsg", UNSEEN, -1, 0},
    {SYS_sendfile, "sendfile", UNSEEN, -1, 0},
    {SYS_splice, "splice", UNSEEN, -1, 0},
    {SYS_copy_file_range, "copy_file_range", UNSEEN, -1, 0},
    {SYS_sync, "sync", UNSEEN, -1, 0},
    {SYS_syncfs, "syncfs", UNSEEN, -1, 0},
    {SYS_sync_file_range, "sync_file_range", UNSEEN, -1, 0},
    {SYS_io_uring_setup, "io_uring_setup", UNSEEN, -1, 0},
    {SYS_io_submit, "io_submit", UNSEEN, -1, 0},
};
enum { CALLS_LEN = sizeof CALLS / sizeof CALLS[0] };

static pid_t program;
static int report = -1;
static volatile sig_atomic_t asked_to_end;

static void fail(const char *what) {
    fprintf(stderr, "tracer: %s: %s\n", what, strerror(errno));
    if (program > 0) kill(program, SIGKILL);
    exit(125);
}

static void on_term(int signal) {
    (void)signal;
    asked_to_end = 1;
}

static void install_filter(void) {
    static struct sock_filter code[8 + CALLS_LEN * 5];
    unsigned short len = 0;
#define ADD(...) code[len++] = (struct sock_filter)__VA_ARGS__
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    for (int i = 0; i < CALLS_LEN; i++) {
        const struct call *call = &CALLS[i];
        if (call->flags_argument >= 0) {
            /* The low half of the argument: these processors are little-endian. */
            size_t argument = offsetof(struct seccomp_data, args) + 8 * (size_t)call->flags_argument;
            ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call->number, 0, 4));
            ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)argument));
            ADD(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, call->flags, 0, 1));
            ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
            ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        } else {
            ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call->number, 0, 1));
            ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
        }
    }
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    struct sock_fprog filter = {.len = len, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("no new privileges");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) fail("seccomp");
}

static int peek(pid_t thread, uint64_t from, void *to, size_t len) {
    struct iovec here = {to, len}, there = {(void *)(uintptr_t)from, len};
    return process_vm_readv(thread, &here, 1, &there, 1, 0) == (ssize_t)len;
}

static void path_at(pid_t thread, uint64_t from, char *to, size_t room) {
    /* A string may end close to the end of what is mapped, so it is read in words. */
    size_t len = 0;
    for (; len + 9 < room; len += 8) {
        if (!peek(thread, from + len, to + len, 8)) break;
        if (memchr(to + len, 0, 8) != NULL) return;
    }
    to[len] = 0;
}

static int is_there(pid_t thread, const char *path) {
    char whole[PATH_MAX + 64];
    struct stat about;
    if (path[0] == '/') return stat(path, &about) == 0;
    snprintf(whole, sizeof whole, "/proc/%d/cwd/%s", thread, path);
    return stat(whole, &about) == 0;
}

/* What a descriptor stands for; gives 'f' for a file or folder, 's' for a socket, 0 for what does not last. */
static char file_at(pid_t thread, uint64_t descriptor, char *to, size_t room) {
    char link[64];
    struct stat about;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", thread, (int)descriptor);
    ssize_t len = readlink(link, to, room - 1);
    if (len < 0 || stat(link, &about) != 0) return 0;
    to[len] = 0;
    if (S_ISSOCK(about.st_mode)) return 's';
    return S_ISREG(about.st_mode) || S_ISDIR(about.st_mode) ? 'f' : 0;
}

/* Halves what the call writes. */
static void halve(pid_t thread, const struct call *call, const struct syscall_info *info) {
    struct user_regs_struct registers;
    struct iovec all = {&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, thread, (void *)NT_PRSTATUS, &all) != 0) fail("registers");
    if (call->shape == WRITE) {
        THIRD_ARGUMENT(registers) = info->seccomp.args[2] / 2;
    } else {
        /* The first part of the vector alone, and half of that. */
        struct iovec first;
        if (!peek(thread, info->seccomp.args[1], &first, sizeof first)) fail("vector");
        if (info->seccomp.args[2] == 1) {
            first.iov_len /= 2;
            struct iovec here = {&first, sizeof first};
            struct iovec there = {(void *)(uintptr_t)info->seccomp.args[1], sizeof first};
            if (process_vm_writev(thread, &here, 1, &there, 1, 0) != sizeof first) fail("vector");
        }
        THIRD_ARGUMENT(registers) = 1;
    }
    if (ptrace(PTRACE_SETREGSET, thread, (void *)NT_PRSTATUS, &all) != 0) fail("registers");
}

/* Kills the program and waits until no thread of it is left, so that its locks are free. */
static void end_program(void) {
    kill(program, SIGKILL);
    while (waitpid(-1, NULL, __WALL) >= 0 || errno == EINTR) {}
}

static const struct call *call_of(const struct syscall_info *info) {
    for (int i = 0; i < CALLS_LEN; i++)
        if ((uint64_t)CALLS[i].number == info->seccomp.nr) return &CALLS[i];
    return NULL;
}

/* Writes the call down; gives whether it counts. */
static int describe(pid_t thread, const struct call *call, const struct syscall_info *info, long number) {
    char target[PATH_MAX] = "";
    const char *kind = "step";
    const uint64_t *args = info->seccomp.args;
    char file;
    switch (call->shape) {
    case STEP_PATH: path_at(thread, args[0], target, sizeof target); break;
    case STEP_AT:
        path_at(thread, args[1], target, sizeof target);
        /* To open a file that is there changes nothing, if it keeps its bytes. */
        if (call->number == SYS_openat && !(args[2] & O_TRUNC) && is_there(thread, target)) return 0;
        break;
    case STEP_FD:
        if (file_at(thread, args[0], target, sizeof target) != 'f') return 0;
        break;
    case WRITE:
    case WRITE_V:
    case SEND_MSG:
        file = file_at(thread, args[0], target, sizeof target);
        if (file == 0) return 0;
        kind = file == 's' ? "send" : "write";
        break;
    case MAP: {
        size_t len;
        if (!(args[2] & PROT_WRITE) || (args[3] & MAP_ANONYMOUS)) return 0;
        if (file_at(thread, args[4], target, sizeof target) != 'f') return 0;
        /* SQLite's index of its write-ahead log. The first process to open the database makes it anew. */
        len = strlen(target);
        if (len > 4 && strcmp(target + len - 4, "-shm") == 0) return 0;
    } /* fall through */
    case UNSEEN:
        dprintf(report, "unseen %s %s\n", call->name, target);
        return 0;
    }
    char onto[PATH_MAX] = "";
    if (call->number == SYS_renameat2 || call->number == RENAMEAT) path_at(thread, args[3], onto, sizeof onto);
    if (call->number == RENAME) path_at(thread, args[1], onto, sizeof onto);
    dprintf(report, "%ld %s %s %s\t%s\n", number, kind, call->name, target, onto);
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: tracer REPORT N before|middle|after COMMAND...\n");
        return 125;
    }
    long last = strtol(argv[2], NULL, 10), number = 0;
    char mode = argv[3][0];
    pid_t armed = 0;
    report = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (report < 0) fail("report");
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);
    program = fork();
    if (program < 0) fail("fork");
    if (program == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) fail("trace me");
        raise(SIGSTOP);
        install_filter();
        execvp(argv[4], &argv[4]);
        fail(argv[4]);
    }
    int status;
    if (waitpid(program, &status, 0) < 0 || !WIFSTOPPED(status)) fail("the program did not stop to be traced");
    long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
                   PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SETOPTIONS, program, NULL, (void *)options) != 0) fail("options");
    ptrace(PTRACE_CONT, program, NULL, NULL);
    for (;;) {
        if (asked_to_end) {
            end_program();
            return 143;
        }
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0 && errno == EINTR) continue;
        if (thread < 0) fail("wait");
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread != program) continue;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int signal = WSTOPSIG(status), event = status >> 16, resume = PTRACE_CONT;
        if (event == PTRACE_EVENT_SECCOMP && armed == 0) {
            struct syscall_info info = {0};
            if (ptrace(GET_SYSCALL_INFO, thread, (void *)sizeof info, &info) <= 0 || info.op != INFO_SECCOMP) {
                /* Another thread's end may have taken this one with it. */
                ptrace(PTRACE_CONT, thread, NULL, NULL);
                continue;
            }
            const struct call *call = call_of(&info);
            if (call == NULL) fail("a call that was not asked for");
            if (describe(thread, call, &info, number + 1)) {
                number++;
                if (number == last && mode == 'b') {
                    dprintf(report, "killed %ld before\n", number);
                    end_program();
                    return 137;
                }
                if (number == last) {
                    armed = thread;
                    resume = PTRACE_SYSCALL;
                    if (mode == 'm') {
                        if (call->shape != WRITE && call->shape != WRITE_V) fail("this call has no middle");
                        halve(thread, call, &info);
                    }
                }
            }
            signal = 0;
        } else if (thread == armed && signal == (SIGTRAP | 0x80)) {
            dprintf(report, "killed %ld %s\n", number, mode == 'm' ? "middle" : "after");
            end_program();
            return 137;
        } else if (event != 0 || signal == SIGSTOP || signal == (SIGTRAP | 0x80)) {
            /* Events, and the stop with which each thread begins, are the tracer's own. */
            signal = 0;
        }
        ptrace(resume, thread, NULL, (void *)(intptr_t)signal);
    }
}
