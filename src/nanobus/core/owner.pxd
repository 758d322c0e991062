"""Who holds a line of a control block: one word that names a process for as long as the machine is up.

     63             22 21     0
     +----------------+-------+
     | start time     | pid   |     start time: clock ticks since boot on Linux, unix centiseconds elsewhere
     +----------------+-------+

A pid alone may be used again by a stranger; pid and start time together may not. 0 is "nobody". Where the start time
cannot be read (another user's process under hidepid) a process counts as alive while its pid answers. Processes that
share a bus must be in one pid namespace, where a pid names the same process for all of them, and in one time namespace,
as the start time counts from the boot that a namespace may shift. exec changes neither pid nor start time: what the old
program left behind is disowned by the new one (bus/forking.pxd) under a name that nobody alive has.
"""
from libc.stdint cimport uint64_t


cdef extern from *:
    """
    #ifndef NANOBUS_OWNER
    #define NANOBUS_OWNER
    #include <errno.h>
    #include <fcntl.h>
    #include <signal.h>
    #include <stdint.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    #if defined(__APPLE__)
    #include <sys/sysctl.h>
    #endif
    #define NB_PID_BITS 22

    /* 0: no such process any more (or a zombie); 1: there is one, start time unknown; else its start time. */
    static inline uint64_t nb_process_start(pid_t pid) {
    #if defined(__APPLE__)
        struct kinfo_proc found;
        size_t size = sizeof found;
        int name[4] = {CTL_KERN, KERN_PROC, KERN_PROC_PID, pid};
        if (sysctl(name, 4, &found, &size, NULL, 0) != 0)
            return 1;
        if (size == 0 || found.kp_proc.p_stat == 5 /* SZOMB */)
            return 0;
        return (uint64_t) found.kp_proc.p_starttime.tv_sec * 100 + found.kp_proc.p_starttime.tv_usec / 10000;
    #else
        char path[40], text[1024];
        snprintf(path, sizeof path, "/proc/%ld/stat", (long) pid);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            return kill(pid, 0) == 0 || errno == EPERM;
        ssize_t length = read(file, text, sizeof text - 1);
        close(file);
        if (length <= 0)
            return kill(pid, 0) == 0 || errno == EPERM;
        text[length] = 0;
        char *field = strrchr(text, ')');          /* the name before it may hold spaces and parentheses */
        if (!field)
            return 1;
        char state = field[1] ? field[2] : 0;      /* field 3; the space before it is field[1] */
        field++;
        for (int number = 3; number < 20 && field; number++)
            field = strchr(field + 1, ' ');
        if ((state == 'Z' || state == 'X') && (!field || strtoul(field, NULL, 10) <= 1))
            return 0;                              /* more than 1: only the main thread has ended so far */
        for (int number = 20; number < 22 && field; number++)
            field = strchr(field + 1, ' ');
        uint64_t start = field ? strtoull(field, NULL, 10) : 0;
        return start ? start : 1;
    #endif
    }
    static inline uint64_t nb_owner_self(void) {
        pid_t pid = getpid();
        return (nb_process_start(pid) << NB_PID_BITS) | (uint64_t) pid;
    }
    static inline uint64_t nb_owner_before_exec(uint64_t owner) { return owner | (UINT64_MAX << NB_PID_BITS); }
    static inline uint64_t nb_process_of(uint64_t owner) { return owner & ((1u << NB_PID_BITS) - 1); }
    static inline int nb_owner_alive(uint64_t owner) {
        pid_t pid = (pid_t) nb_process_of(owner);
        uint64_t claimed = owner >> NB_PID_BITS, start = nb_process_start(pid);
        return start == 1 || claimed == 1 ? start != 0 : start == claimed;
    }
    #endif
    """
    uint64_t owner_self "nb_owner_self"() noexcept nogil
    bint owner_alive "nb_owner_alive"(uint64_t owner) noexcept nogil
    uint64_t owner_before_exec "nb_owner_before_exec"(uint64_t owner) noexcept nogil
    uint64_t process_of "nb_process_of"(uint64_t owner) noexcept nogil
