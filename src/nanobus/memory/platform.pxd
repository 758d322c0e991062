"""The system calls of layer 1, chosen at compile time: Linux's own, or (elsewhere, and with -Dportable=true) POSIX's.

                     Linux                                 portable
    anonymous file   memfd, sealed against resizing        shm_open under a random name, unlinked at once
    growing          mremap                                map, copy, unmap; of a file: map anew, unmap
    longer file      fallocate, zeros appended             zeros, written under a lock of the file
    holes of a copy  fallocate                             left: POSIX has no call that spares the bytes of others
    unnamed file     O_TMPFILE, linkat                     a random name, link, unlink

Results: 0 or an errno; functions that open return a descriptor or -errno. Descriptors are close-on-exec and never 0 to
2, so that 0 can mean "none", and a stray print to a closed stdout cannot land in a bus.
"""
from libc.stdint cimport int64_t


cdef extern from *:
    """
    #ifndef NANOBUS_PLATFORM
    #define NANOBUS_PLATFORM
    #include <errno.h>
    #include <fcntl.h>
    #include <stddef.h>
    #include <stdint.h>
    #include <stdio.h>
    #include <string.h>
    #include <stdlib.h>
    #include <sys/file.h>
    #include <sys/mman.h>
    #include <sys/stat.h>
    #include <sys/statvfs.h>
    #include <sys/uio.h>
    #if defined(__linux__)
    #include <linux/magic.h>
    #include <sys/vfs.h>
    #elif defined(__APPLE__)
    #include <sys/sysctl.h>
    #endif
    #include <unistd.h>
    #if defined(__linux__) && !defined(NANOBUS_PORTABLE)
    #define NB_LINUX 1
    #define NB_FILLS_HOLES 1
    #else
    #define NB_FILLS_HOLES 0
    #endif
    #ifndef MAP_NORESERVE
    #define MAP_NORESERVE 0
    #endif

    static inline size_t nb_page_size(void) { return (size_t) sysconf(_SC_PAGESIZE); }
    static inline int nb_exceeds_memory(size_t size) {
        long pages = sysconf(_SC_PHYS_PAGES);
        return pages > 0 && size / nb_page_size() > (size_t) pages;
    }

    static inline int nb_map(uint8_t **address, size_t size, int protection, int flags) {
        void *mapped = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
        if (mapped == MAP_FAILED)
            return errno;
        *address = (uint8_t *) mapped;
        return 0;
    }
    static inline int nb_map_private(uint8_t **address, size_t size) {
        return nb_map(address, size, PROT_READ | PROT_WRITE, 0);
    }
    static inline int nb_reserve(uint8_t **address, size_t size) {
        return nb_map(address, size, PROT_NONE, MAP_NORESERVE);
    }
    static inline int nb_map_file(uint8_t *address, size_t size, int file, size_t offset) {
        void *mapped = mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, (off_t) offset);
        return mapped == MAP_FAILED ? errno : 0;
    }
    static inline int nb_map_shared(uint8_t **address, size_t size, int file) {
        void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (mapped == MAP_FAILED)
            return errno;
        *address = (uint8_t *) mapped;
        return 0;
    }
    static inline void nb_unmap(uint8_t *address, size_t size) { munmap(address, size); }

    static inline int nb_remap(uint8_t **address, size_t size, size_t wanted) {
    #ifdef NB_LINUX
        void *moved = mremap(*address, size, wanted, MREMAP_MAYMOVE);
        if (moved == MAP_FAILED)
            return errno == EINVAL ? ENOMEM : errno;       /* EINVAL: larger than any address space */
        *address = (uint8_t *) moved;
    #else
        uint8_t *moved = NULL;
        int error = nb_map_private(&moved, wanted);
        if (error)
            return error;
        memcpy(moved, *address, size);
        munmap(*address, size);
        *address = moved;
    #endif
        return 0;
    }

    static inline int nb_remap_shared(uint8_t **address, size_t size, size_t wanted, int file) {
    #ifdef NB_LINUX
        (void) file;
        return nb_remap(address, size, wanted);
    #else
        uint8_t *moved = NULL;
        int error = nb_map_shared(&moved, wanted, file);
        if (error)
            return error;
        munmap(*address, size);
        *address = moved;
        return 0;
    #endif
    }
    /* Fault pages in at once, where the kernel can: a page fault each would cost several times as much. */
    static inline void nb_populate(uint8_t *address, size_t size) {
    #if defined(NB_LINUX) && defined(MADV_POPULATE_WRITE)
        madvise(address, size, MADV_POPULATE_WRITE);
    #else
        (void) address, (void) size;
    #endif
    }

    static inline int nb_opened(int file) {
        if (file < 0)
            return -errno;
        if (file > 2)
            return file;
        int above = fcntl(file, F_DUPFD_CLOEXEC, 3);
        int error = errno;
        close(file);
        return above < 0 ? -error : above;
    }
    static inline int nb_open_memory(const char *random_name) {
    #ifdef NB_LINUX
        int file = -1;
    #ifdef MFD_NOEXEC_SEAL
        file = memfd_create(random_name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
        if (file < 0 && errno != EINVAL)                   /* EINVAL: a kernel before 6.3 */
            return -errno;
    #endif
        if (file < 0)
            file = memfd_create(random_name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        return nb_opened(file);
    #else
        char name[64];
        snprintf(name, sizeof name, "/%s", random_name);
        int file = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (file >= 0)
            shm_unlink(name);
        return nb_opened(file);
    #endif
    }
    /* O_NONBLOCK: opening a FIFO must not wait for its other end. */
    static inline int nb_open_existing(const char *path) {
        return nb_opened(open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    }
    static inline int nb_open_new(const char *path) {
        return nb_opened(open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    }
    static inline int nb_open_unnamed(const char *folder) {
    #ifdef NB_LINUX
        int file = nb_opened(open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
        return file == -EISDIR ? -EOPNOTSUPP : file;       /* EISDIR: the kernel does not know O_TMPFILE */
    #else
        (void) folder;
        return -EOPNOTSUPP;
    #endif
    }
    static inline int nb_link_unnamed(int file, const char *path) {
    #ifdef NB_LINUX
        char name[32];
        snprintf(name, sizeof name, "/proc/self/fd/%d", file);
        return linkat(AT_FDCWD, name, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
    #else
        (void) file, (void) path;
        return EOPNOTSUPP;
    #endif
    }
    static inline int nb_link(const char *name, const char *path) { return link(name, path) == 0 ? 0 : errno; }
    static inline void nb_unlink(const char *name) { unlink(name); }
    static inline void nb_close(int file) { close(file); }

    static inline int nb_write_zeros(int file, size_t size) {
        static const char zeros[1 << 14];
        for (size_t done = 0; done < size;) {
            size_t most = size - done < sizeof zeros ? size - done : sizeof zeros;
            ssize_t written = pwrite(file, zeros, most, (off_t) done);
            if (written < 0 && errno != EINTR)
                return errno;
            if (written > 0)
                done += (size_t) written;
        }
        return 0;
    }
    /* Size a new, empty file and own every block of it: a page without a block is a SIGBUS on a full disk. */
    static inline int nb_allocate(int file, size_t size) {
        struct statvfs room;
        if (fstatvfs(file, &room) == 0 && room.f_blocks && room.f_frsize && room.f_bavail < size / room.f_frsize)
            return ENOSPC;                                 /* rather than fill the disk, and then fail */
    #if defined(__APPLE__)
        fstore_t wanted = {F_ALLOCATEALL, F_PEOFPOSMODE, 0, (off_t) size, 0};
        if (fcntl(file, F_PREALLOCATE, &wanted) != 0 && errno == ENOSPC)
            return ENOSPC;
        return ftruncate(file, (off_t) size) == 0 ? 0 : errno;
    #else
        int error;
        if (ftruncate(file, (off_t) size) != 0)
            return errno;
        do
            error = posix_fallocate(file, 0, (off_t) size);
        while (error == EINTR);
        return error == EOPNOTSUPP || error == EINVAL ? nb_write_zeros(file, size) : error;
    #endif
    }
    /* The same for a file in use, whose bytes must not be touched (posix_fallocate may): a copy may have holes. */
    static inline int nb_fill_holes(int file, size_t size) {
    #ifdef NB_LINUX
        while (fallocate(file, 0, 0, (off_t) size) != 0)
            if (errno != EINTR)
                return errno == EOPNOTSUPP ? 0 : errno;
    #else
        (void) file, (void) size;
    #endif
        return 0;
    }
    /* Hexadecimal digits, some dashes, that differ from one boot of the machine to the next. ENOSYS: nothing tells. */
    static inline int nb_read_boot_name(char *name, size_t size) {
    #if defined(__linux__)
        int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        if (file < 0)
            return errno;
        ssize_t length = read(file, name, size - 1);
        int error = errno;
        close(file);
        if (length <= 0)
            return length < 0 ? error : ENOENT;
        name[name[length - 1] == 10 ? length - 1 : length] = 0;       /* without the end of the line */
        return 0;
    #elif defined(__APPLE__)
        return sysctlbyname("kern.bootsessionuuid", name, &size, NULL, 0) == 0 ? 0 : errno;
    #else
        (void) name, (void) size;
        return ENOSYS;
    #endif
    }
    static inline int64_t nb_file_size(int file) {
        struct stat status;
        return fstat(file, &status) == 0 ? (int64_t) status.st_size : -(int64_t) errno;
    }
    /* Own every block up to `size` of a file that others may be writing to, and growing too. It never gets shorter.
       Zeros are appended rather than holes filled: a page that write() made costs a quarter of one that a fault made,
       as the kernel takes many at a time; more than 64 KiB at a time would be synced as a whole, for one byte in it.
       Appending is atomic, so that nobody's bytes are ever written over. */
    static inline int nb_extend(int file, size_t size) {
        static const char zeros[1 << 16];
    #ifdef NB_LINUX
        struct statfs system;
        int has_blocks = fstatfs(file, &system) == 0 && system.f_type == TMPFS_MAGIC;  /* a page is its own block */
        int64_t end;
        while ((end = nb_file_size(file)) >= 0 && end < (int64_t) size) {
            size_t left = size - (size_t) end;
            struct iovec piece = {(void *) zeros, left < sizeof zeros ? left : sizeof zeros};
            while (!has_blocks) {
                has_blocks = fallocate(file, FALLOC_FL_KEEP_SIZE, (off_t) end, (off_t) left) == 0
                             || errno == EOPNOTSUPP;
                if (!has_blocks && errno != EINTR)
                    return errno;
            }
            if (pwritev2(file, &piece, 1, 0, RWF_APPEND) < 0 && errno != EINTR)
                return errno;
        }
        return end < 0 ? (int) -end : 0;
    #else
        int error = 0;
        while (flock(file, LOCK_EX) != 0)                  /* the kernel drops it with its holder */
            if (errno != EINTR)
                return errno;
        for (int64_t end = nb_file_size(file); !error && end < (int64_t) size;) {
            size_t most = size - (size_t) end < sizeof zeros ? size - (size_t) end : sizeof zeros;
            ssize_t written = pwrite(file, zeros, most, (off_t) end);
            if (written < 0 && errno != EINTR)
                error = errno;
            if (written > 0)
                end += written;
        }
        flock(file, LOCK_UN);
        return error;
    #endif
    }
    /* Everything written through any mapping of the file is on the disk, and so is its length. */
    static inline int nb_sync(int file) {
    #if defined(__APPLE__)
        return fcntl(file, F_FULLFSYNC) == 0 || fsync(file) == 0 ? 0 : errno;
    #elif defined(__linux__)
        return fdatasync(file) == 0 ? 0 : errno;
    #else
        return fsync(file) == 0 ? 0 : errno;
    #endif
    }
    /* Names in an open folder. O_NONBLOCK: opening a FIFO must not wait for its other end. */
    static inline int nb_open_at(int folder, const char *name) {
        struct stat status;
        int file = nb_opened(openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        if (file < 0)
            return file;
        if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid()
            && !(status.st_mode & (S_IWGRP | S_IWOTH)))
            return file;
        close(file);
        return -EPERM;
    }
    static inline int nb_create_at(int folder, const char *name) {
        return nb_opened(openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    }
    static inline int nb_link_at(int folder, const char *name, const char *wanted) {
        return linkat(folder, name, folder, wanted, 0) == 0 ? 0 : errno;
    }
    static inline int nb_unlink_at(int folder, const char *name) {
        return unlinkat(folder, name, 0) == 0 ? 0 : errno;
    }
    static inline int nb_duplicate(int file) {
        int copy = fcntl(file, F_DUPFD_CLOEXEC, 3);
        return copy < 0 ? -errno : copy;
    }

    static inline int nb_seal_size(int file) {
    #ifdef NB_LINUX
        return fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 ? 0 : errno;
    #else
        (void) file;
        return 0;
    #endif
    }
    #endif
    """
    size_t page_size "nb_page_size"() noexcept nogil
    bint exceeds_memory "nb_exceeds_memory"(size_t size) noexcept nogil
    int map_private "nb_map_private"(unsigned char **address, size_t size) noexcept nogil
    int remap_private "nb_remap"(unsigned char **address, size_t size, size_t wanted) noexcept nogil
    int reserve "nb_reserve"(unsigned char **address, size_t size) noexcept nogil
    int map_file "nb_map_file"(unsigned char *address, size_t size, int file, size_t offset) noexcept nogil
    void unmap "nb_unmap"(unsigned char *address, size_t size) noexcept nogil
    int open_memory "nb_open_memory"(const char *random_name) noexcept nogil
    int open_existing "nb_open_existing"(const char *path) noexcept nogil
    int open_new "nb_open_new"(const char *path) noexcept nogil
    int open_unnamed "nb_open_unnamed"(const char *folder) noexcept nogil
    int link_unnamed "nb_link_unnamed"(int file, const char *path) noexcept nogil
    int link_named "nb_link"(const char *name, const char *path) noexcept nogil
    void unlink_named "nb_unlink"(const char *name) noexcept nogil
    void close_file "nb_close"(int file) noexcept nogil
    int allocate "nb_allocate"(int file, size_t size) noexcept nogil
    bint CAN_FILL_HOLES "NB_FILLS_HOLES"
    int fill_holes "nb_fill_holes"(int file, size_t size) noexcept nogil
    int seal_size "nb_seal_size"(int file) noexcept nogil
    int map_shared "nb_map_shared"(unsigned char **address, size_t size, int file) noexcept nogil
    int remap_shared "nb_remap_shared"(unsigned char **address, size_t size, size_t wanted, int file) noexcept nogil
    void populate "nb_populate"(unsigned char *address, size_t size) noexcept nogil
    int64_t file_size "nb_file_size"(int file) noexcept nogil
    int read_boot_name "nb_read_boot_name"(char *name, size_t size) noexcept nogil
    int extend "nb_extend"(int file, size_t size) noexcept nogil
    int sync_file "nb_sync"(int file) noexcept nogil
    # EPERM: it is no regular file, belongs to another user, or others may write to it.
    int open_at "nb_open_at"(int folder, const char *name) noexcept nogil
    int create_at "nb_create_at"(int folder, const char *name) noexcept nogil
    int link_at "nb_link_at"(int folder, const char *name, const char *wanted) noexcept nogil
    int unlink_at "nb_unlink_at"(int folder, const char *name) noexcept nogil
    int duplicate "nb_duplicate"(int file) noexcept nogil

cdef inline size_t round_to_pages(size_t size) noexcept nogil:
    """The next multiple of the page size; 0 where there is none below 2**64."""
    cdef size_t page = page_size()
    return (size + page - 1) & ~(page - 1)
