// Stands between a process and the C library where files are changed: counts those calls below one directory, fails one
// of them (or all that need room from there on), or keeps a copy of the directory as it is before each, which is what a
// SIGKILL there would leave. Preloaded on Linux; tests/faults/interposer.py compiles it, and drives it by ctypes.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static __thread int busy;  // in here already
static char watched[PATH_MAX], copies[PATH_MAX], described[PATH_MAX + 32];
static int armed, number, wanted, code, stays;

// fail_at 0: fail nothing. copies_to "": copy nothing.
void faults_begin(const char *below, int fail_at, int error, int stays_full, const char *copies_to) {
  pthread_mutex_lock(&guard);
  snprintf(watched, sizeof watched, "%s", below);
  snprintf(copies, sizeof copies, "%s", copies_to);
  number = 0; wanted = fail_at; code = error; stays = stays_full; described[0] = 0; armed = 1;
  pthread_mutex_unlock(&guard);
}
int faults_end(void) { armed = 0; return number; }
const char *faults_struck(void) { return described; }

static int strikes(const char *what, int grows, const char *path) {
  char absolute[2 * PATH_MAX];
  if (!armed || busy || !path) return 0;
  busy = 1;
  if (path[0] != '/') {
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here)) here[0] = 0;
    snprintf(absolute, sizeof absolute, "%s/%s", here, path);
    path = absolute;
  }
  size_t n = strlen(watched);
  int fails = 0;
  if (strncmp(path, watched, n) == 0 && (path[n] == '/' || path[n] == 0)) {
    pthread_mutex_lock(&guard);
    number++;
    fails = wanted && (number == wanted || (stays && grows && number > wanted));
    if (copies[0]) {
      char target[PATH_MAX + 16], *arguments[] = {"cp", "-a", watched, target, NULL}, *none[] = {NULL};
      pid_t child;
      snprintf(target, sizeof target, "%s/%05d", copies, number);
      if (posix_spawn(&child, "/bin/cp", NULL, NULL, arguments, none) == 0) waitpid(child, NULL, 0);
    }
    if (fails && !described[0]) snprintf(described, sizeof described, "%s %s", what, path + n);
    pthread_mutex_unlock(&guard);
  }
  busy = 0;
  if (fails) errno = code;
  return fails;
}

static const char *path_of(int descriptor, char *room) {
  char link[32];
  if (!armed || busy) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t n = readlink(link, room, PATH_MAX - 1);
  if (n < 0) return NULL;
  room[n] = 0;
  return room;
}
static const char *joined(int directory, const char *path, char *room) {
  char base[PATH_MAX];
  if (path[0] == '/' || directory == AT_FDCWD || !path_of(directory, base)) return path;
  snprintf(room, 2 * PATH_MAX, "%s/%s", base, path);
  return room;
}

// A function of the C library: its result, name and parameters, whether it needs room, the path, the arguments, and
// what it returns on failure.
#define WRAP(type, name, parameters, grows, path, arguments, failure)                   \
  type name parameters {                                                                \
    static type (*next) parameters;                                                     \
    char room[2 * PATH_MAX];                                                            \
    (void)room;                                                                         \
    if (!next) next = dlsym(RTLD_NEXT, #name);                                          \
    return strikes(#name, grows, path) ? failure : next arguments;                      \
  }
#define FD path_of(fd, room)
WRAP(ssize_t, write, (int fd, const void *data, size_t n), 1, FD, (fd, data, n), -1)
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), 1, FD, (fd, data, n, at), -1)
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), 1, FD, (fd, data, n, at), -1)
WRAP(ssize_t, writev, (int fd, const struct iovec *data, int n), 1, FD, (fd, data, n), -1)
WRAP(ssize_t, sendfile, (int fd, int from, off_t *at, size_t n), 1, FD, (fd, from, at, n), -1)
WRAP(ssize_t, sendfile64, (int fd, int from, off64_t *at, size_t n), 1, FD, (fd, from, at, n), -1)
WRAP(ssize_t, copy_file_range, (int from, off64_t *a, int fd, off64_t *b, size_t n, unsigned flags), 1, FD,
     (from, a, fd, b, n, flags), -1)
WRAP(int, fsync, (int fd), 1, FD, (fd), -1)
WRAP(int, fdatasync, (int fd), 1, FD, (fd), -1)
WRAP(int, ftruncate, (int fd, off_t n), 1, FD, (fd, n), -1)
WRAP(int, ftruncate64, (int fd, off64_t n), 1, FD, (fd, n), -1)
WRAP(int, fchmod, (int fd, mode_t mode), 0, FD, (fd, mode), -1)
WRAP(size_t, fwrite, (const void *data, size_t size, size_t n, FILE *file), 1, path_of(fileno(file), room),
     (data, size, n, file), 0)
WRAP(int, fflush, (FILE *file), 1, file ? path_of(fileno(file), room) : NULL, (file), EOF)
WRAP(int, mkdir, (const char *path, mode_t mode), 1, path, (path, mode), -1)
WRAP(int, mkdirat, (int dir, const char *path, mode_t mode), 1, joined(dir, path, room), (dir, path, mode), -1)
WRAP(int, rename, (const char *from, const char *to), 0, to, (from, to), -1)
WRAP(int, renameat, (int a, const char *from, int b, const char *to), 0, joined(b, to, room), (a, from, b, to), -1)
WRAP(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags), 0, joined(b, to, room),
     (a, from, b, to, flags), -1)
WRAP(int, link, (const char *from, const char *to), 1, to, (from, to), -1)
WRAP(int, linkat, (int a, const char *from, int b, const char *to, int flags), 1, joined(b, to, room),
     (a, from, b, to, flags), -1)
WRAP(int, symlink, (const char *from, const char *to), 1, to, (from, to), -1)
WRAP(int, unlink, (const char *path), 0, path, (path), -1)
WRAP(int, unlinkat, (int dir, const char *path, int flags), 0, joined(dir, path, room), (dir, path, flags), -1)
WRAP(int, remove, (const char *path), 0, path, (path), -1)
WRAP(int, rmdir, (const char *path), 0, path, (path), -1)
WRAP(int, chmod, (const char *path, mode_t mode), 0, path, (path, mode), -1)
WRAP(int, fchmodat, (int dir, const char *path, mode_t mode, int flags), 0, joined(dir, path, room),
     (dir, path, mode, flags), -1)
WRAP(int, truncate, (const char *path, off_t n), 1, path, (path, n), -1)

// To be closed all the same: what the stream holds is lost.
int fclose(FILE *file) {
  static int (*next)(FILE *);
  char room[2 * PATH_MAX];
  if (!next) next = dlsym(RTLD_NEXT, "fclose");
  int fails = strikes("fclose", 1, path_of(fileno(file), room)), error = errno, result = next(file);
  if (!fails) return result;
  errno = error;
  return EOF;
}

// Files that are opened to be written. Their mode is the third argument, if they may be made.
#define CHANGES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))
#define OPEN(name, parameters, path, before)                                            \
  int name parameters {                                                                 \
    static int (*next) parameters;                                                      \
    char room[2 * PATH_MAX];                                                            \
    (void)room;                                                                         \
    if (!next) next = dlsym(RTLD_NEXT, #name);                                          \
    va_list more;                                                                       \
    va_start(more, flags);                                                              \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;             \
    va_end(more);                                                                       \
    return CHANGES(flags) && strikes("open", 1, path) ? -1 : next(before, flags, mode); \
  }
#define COMMA ,
OPEN(open, (const char *file, int flags, ...), file, file)
OPEN(open64, (const char *file, int flags, ...), file, file)
OPEN(openat, (int dir, const char *file, int flags, ...), joined(dir, file, room), dir COMMA file)
OPEN(openat64, (int dir, const char *file, int flags, ...), joined(dir, file, room), dir COMMA file)
#define FOPEN(name)                                                                     \
  FILE *name(const char *path, const char *how) {                                       \
    static FILE *(*next)(const char *, const char *);                                   \
    if (!next) next = dlsym(RTLD_NEXT, #name);                                          \
    int changes = how[0] != 'r' || strchr(how, '+');                                    \
    return changes && strikes("fopen", 1, path) ? NULL : next(path, how);               \
  }
FOPEN(fopen)
FOPEN(fopen64)
