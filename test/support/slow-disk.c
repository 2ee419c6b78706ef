/* Preloaded into a Redis: its disk writes nothing through as long as the file FLAG is there. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>

static int slow(long call, int fd) {
  while (access(FLAG, F_OK) == 0) usleep(5000);
  return syscall(call, fd);
}
int fsync(int fd) { return slow(SYS_fsync, fd); }
int fdatasync(int fd) { return slow(SYS_fdatasync, fd); }
