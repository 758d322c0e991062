"""Named cursors: positions in the control file that outlive their readers.

A name is written before its first eight bytes, which make the entry visible; a process that dies before leaves a free
entry. One reader moves a cursor at a time: its owner word names the process, as in bus/control.pxd.
"""
from libc.stdint cimport UINT64_MAX, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset, strlen

from nanobus.bus.claims cimport Claims, disown
from nanobus.core.atomics cimport load_acquire, store_release, swap_if_equal
from nanobus.core.crc32c cimport crc32c
from nanobus.core.owner cimport owner_alive, owner_before_exec
from nanobus.core.steps cimport step
from nanobus.journal.layout cimport CURSOR_COUNT, CURSOR_NAME_SIZE, JournalCursor, journal_block, journal_cursors

from nanobus.errors import CorruptJournalError, CursorInUseError, TooManyHandlesError


def check_name(str name not None):
    """Raise ValueError for what no cursor can be called."""
    check_cursor_name(name)


cdef int check_cursor_name(str name) except -1:
    size = len(name.encode())
    if not 1 <= size < CURSOR_NAME_SIZE or "\0" in name:
        raise ValueError(
            f"a cursor's name must have 1 to {CURSOR_NAME_SIZE - 1} bytes of UTF-8, none of them zero, got {name!r}"
        )
    if name in ("oldest", "newest"):
        raise ValueError(f'a cursor cannot be called "oldest" or "newest", got {name!r}')
    return 0


cdef bint is_used(const JournalCursor *cursor) noexcept nogil:
    return load_acquire(<const uint64_t *> cursor.name) != 0


cdef bint is_damaged(const JournalCursor *cursor) noexcept nogil:
    return cursor.name_crc32c != crc32c(0, <const uint8_t *> cursor.name, CURSOR_NAME_SIZE)


cdef str name_of(const JournalCursor *cursor):
    if is_damaged(cursor):
        raise CorruptJournalError("the name of a cursor in the control file is damaged", position=None)
    return (<bytes> cursor.name[:strlen(cursor.name)]).decode()


cdef JournalCursor *find_cursor(const Claims *claims, str name) except? NULL:
    cdef JournalCursor *cursors = journal_cursors(claims.control)
    cdef uint32_t index
    cdef JournalCursor *damaged = NULL
    for index in range(<uint32_t> CURSOR_COUNT):
        if is_used(&cursors[index]):
            if is_damaged(&cursors[index]):
                damaged = &cursors[index]
            elif name_of(&cursors[index]) == name:
                return &cursors[index]
    if damaged != NULL:
        name_of(damaged)                                    # which may have been this one's
    return NULL


cdef JournalCursor *take_cursor(const Claims *claims, str name) except? NULL:
    cdef JournalCursor *cursor = find_cursor(claims, name)
    cdef uint64_t owner
    if cursor == NULL:
        return NULL
    owner = load_acquire(&cursor.owner)
    if owner and (owner == claims.owner or owner_alive(owner)):
        raise CursorInUseError(f"the cursor {name!r} has a reader already")
    if not swap_if_equal(&cursor.owner, &owner, claims.owner):
        raise CursorInUseError(f"the cursor {name!r} has a reader already")
    return cursor


cdef JournalCursor *add_cursor(const Claims *claims, str name, uint64_t position) except NULL:
    cdef JournalCursor *cursors = journal_cursors(claims.control)
    cdef bytes encoded = name.encode()
    cdef char padded[CURSOR_NAME_SIZE]
    cdef uint64_t first = 0
    cdef uint32_t index
    memset(padded, 0, CURSOR_NAME_SIZE)
    memcpy(padded, <const char *> encoded, len(encoded))
    memcpy(&first, padded, sizeof(first))
    for index in range(<uint32_t> CURSOR_COUNT):
        if not is_used(&cursors[index]):
            memcpy(&cursors[index].name[8], &padded[8], CURSOR_NAME_SIZE - 8)
            step()
            cursors[index].name_crc32c = crc32c(0, <const uint8_t *> padded, CURSOR_NAME_SIZE)
            step()
            store_release(&cursors[index].position, position)
            step()
            store_release(&cursors[index].owner, claims.owner)
            step()
            store_release(<uint64_t *> cursors[index].name, first)
            step()
            return &cursors[index]
    raise TooManyHandlesError(f"all {CURSOR_COUNT} named cursors are taken: drop one to make room for {name!r}")


cdef void disown_all(Claims *claims) noexcept nogil:
    cdef uint64_t nobody_alive = owner_before_exec(claims.owner)
    cdef uint64_t owner = claims.owner
    cdef JournalCursor *cursors = journal_cursors(claims.control)
    cdef uint32_t index
    disown(claims)
    swap_if_equal(&journal_block(claims.control).syncing, &owner, nobody_alive)
    for index in range(<uint32_t> CURSOR_COUNT):
        owner = claims.owner
        swap_if_equal(&cursors[index].owner, &owner, nobody_alive)


cdef dict cursors_of(const Claims *claims):
    cdef JournalCursor *cursors = journal_cursors(claims.control)
    cdef uint32_t index
    found = {}
    for index in range(<uint32_t> CURSOR_COUNT):
        if is_used(&cursors[index]):
            found[name_of(&cursors[index])] = load_acquire(&cursors[index].position)
    return found


cdef int drop_cursor(const Claims *claims, str name) except -1:
    cdef JournalCursor *cursor = take_cursor(claims, name)
    if cursor == NULL:
        raise KeyError(name)
    step()
    store_release(<uint64_t *> cursor.name, 0)
    step()
    store_release(&cursor.owner, 0)
    return 0


cdef uint64_t lowest_cursor(const Claims *claims) noexcept nogil:
    cdef JournalCursor *cursors = journal_cursors(claims.control)
    cdef uint64_t lowest = UINT64_MAX
    cdef uint32_t index
    for index in range(<uint32_t> CURSOR_COUNT):
        if is_used(&cursors[index]):
            lowest = min(lowest, load_acquire(&cursors[index].position))
    return lowest
