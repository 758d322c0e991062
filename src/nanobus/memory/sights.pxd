"""Where nogil code sees the first bytes of a file: a mapping of its own for each handle.

ThreadSanitizer tells places in memory apart by their addresses: it would see neither that two handles race for a byte
of a file that each has mapped for itself, nor that one's release is what the other acquires. So in its build
(-Db_sanitize=thread) all handles of a process share one mapping of a file, as large as it may get: it never moves.
"""
from libc.stdint cimport uint8_t

from nanobus.memory.platform cimport map_shared, unmap


cdef extern from *:
    """
    #ifndef NANOBUS_SIGHTS
    #define NANOBUS_SIGHTS
    #ifdef NANOBUS_THREAD_SANITIZER
    #include <errno.h>
    #include <pthread.h>
    #include <stdlib.h>
    #include <sys/stat.h>

    struct nb_sight {
        struct nb_sight *next;
        dev_t device;
        ino_t inode;
        uint8_t *address;
        size_t room;
        unsigned handles;
    };
    static struct nb_sight *nb_sights;
    static pthread_mutex_t nb_sights_lock = PTHREAD_MUTEX_INITIALIZER;

    static inline int nb_open_sight(uint8_t **address, size_t *room, size_t most, int file) {
        struct nb_sight *sight;
        struct stat status;
        int error = 0;
        if (fstat(file, &status) != 0)
            return errno;
        pthread_mutex_lock(&nb_sights_lock);
        for (sight = nb_sights; sight; sight = sight->next)
            if (sight->device == status.st_dev && sight->inode == status.st_ino && sight->room == most)
                break;
        if (!sight) {
            sight = calloc(1, sizeof *sight);
            error = sight ? nb_map_shared(&sight->address, most, file) : ENOMEM;
            if (error) {
                free(sight);
            } else {
                sight->device = status.st_dev;
                sight->inode = status.st_ino;
                sight->room = most;
                sight->next = nb_sights;
                nb_sights = sight;
            }
        }
        if (!error) {
            sight->handles++;
            *address = sight->address;
            *room = sight->room;
        }
        pthread_mutex_unlock(&nb_sights_lock);
        return error;
    }
    static inline void nb_close_sight(uint8_t *address, size_t room) {
        pthread_mutex_lock(&nb_sights_lock);
        for (struct nb_sight **place = &nb_sights; *place; place = &(*place)->next) {
            struct nb_sight *sight = *place;
            if (sight->address == address) {
                if (--sight->handles == 0) {
                    *place = sight->next;
                    free(sight);
                    nb_unmap(address, room);
                }
                break;
            }
        }
        pthread_mutex_unlock(&nb_sights_lock);
    }
    #else
    static inline int nb_open_sight(uint8_t **address, size_t *room, size_t most, int file) {
        (void) most;
        return nb_map_shared(address, *room, file);
    }
    static inline void nb_close_sight(uint8_t *address, size_t room) { nb_unmap(address, room); }
    #endif
    #endif
    """
    # 0 or errno. `room`: whole pages, that many are to be mapped; that many are: in the one case as many, else `most`.
    int open_sight "nb_open_sight"(uint8_t **address, size_t *room, size_t most, int file) noexcept nogil
    void close_sight "nb_close_sight"(uint8_t *address, size_t room) noexcept nogil
