"""The claim protocol on structs and pointers. The protocol itself, and why it holds, is told in claims.pxd."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from nanobus.bus.control cimport (
    BOUNDARY_COUNT, DETACHED, GATING_STATE, GATING_TURN, NOT_GATING, OVERFLOW_OVERWRITE, REVOCABLE, ControlBlock,
    ReaderLine, WriterLine
)
from nanobus.core.atomics cimport (
    atomic_add, fence_full, load_acquire, load_acquire_32, load_relaxed, load_relaxed_32, store_relaxed,
    store_relaxed_32, store_release, store_release_32, swap_if_equal, swap_if_equal_32
)
from nanobus.core.clock cimport monotonic_ns
from nanobus.core.layout cimport SLOT_ALIGNMENT, SlotHeader, make_padding, stamp_of
from nanobus.core.owner cimport owner_alive, owner_before_exec, owner_self
from nanobus.core.steps cimport step


cdef void bind(Claims *claims, ControlBlock *control) noexcept nogil:
    claims.control = control
    claims.tail = NULL
    claims.writers = <WriterLine *> (control + 1)
    claims.readers = <ReaderLine *> (claims.writers + control.writer_lines)
    claims.owner = owner_self()


cdef void bind_ring(Claims *claims, ControlBlock *control, uint8_t *ring) noexcept nogil:
    bind(claims, control)
    claims.locate = slot_in_ring
    claims.ring = ring
    claims.mask = control.capacity - 1
    claims.section = 0


cdef SlotHeader *slot_in_ring(const Claims *claims, uint64_t position) noexcept nogil:
    return <SlotHeader *> (claims.ring + (position & claims.mask))


# ---- lines -----------------------------------------------------------------------------------------------------------

cdef WriterLine *take_writer_line(Claims *claims) noexcept nogil:
    cdef uint32_t index
    cdef uint64_t nobody
    for index in range(claims.control.writer_lines):
        nobody = 0
        raise_to(&claims.control.writers_used, index + 1)           # before it is taken: a kill leaves no line unseen
        step()
        if swap_if_equal(&claims.writers[index].owner, &nobody, claims.owner):
            step()
            return &claims.writers[index]
    return NULL


cdef ReaderLine *take_reader_line(Claims *claims) noexcept nogil:
    cdef uint32_t index
    cdef uint64_t nobody
    for index in range(claims.control.reader_lines):
        nobody = 0
        raise_to(&claims.control.readers_used, index + 1)           # before it is taken: a kill leaves no line unseen
        step()
        if swap_if_equal(&claims.readers[index].owner, &nobody, claims.owner):
            step()
            return &claims.readers[index]
    return NULL


cdef void release_writer_line(Claims *claims, WriterLine *line) noexcept nogil:
    cdef ControlBlock *control = claims.control
    atomic_add(&control.committed, line.committed)
    atomic_add(&control.committed_bytes, line.committed_bytes)
    atomic_add(&control.aborted, line.aborted)
    atomic_add(&control.full, line.full)
    store_relaxed(&line.committed, 0)
    store_relaxed(&line.committed_bytes, 0)
    store_relaxed(&line.aborted, 0)
    store_relaxed(&line.full, 0)
    step()
    store_release(&line.limit, 0)
    step()
    store_release(&line.intent_length, 0)
    step()
    store_release(&line.sealing, 0)
    step()
    store_release(&line.owner, 0)                   # the next owner's swap acquires a clean line


cdef void release_reader_line(ReaderLine *line) noexcept nogil:
    store_release(&line.heir, 0)                    # first: a kill further down leaves a line that anybody may reap
    step()
    # After the last read of a slot: gate() acquires it.
    cdef uint32_t gating = load_relaxed_32(&line.gating)    # may be revoked meanwhile: the next turn is not
    store_release_32(&line.gating, (gating & ~<uint32_t> GATING_STATE) + GATING_TURN + NOT_GATING)
    step()
    store_release(&line.sealing, 0)
    store_relaxed_32(&line.gaps, 0)
    store_relaxed(&line.lost_bytes, 0)
    step()
    store_release(&line.owner, 0)


cdef void raise_to(uint32_t *word, uint32_t value) noexcept nogil:
    cdef uint32_t seen = load_acquire_32(word)
    while seen < value and not swap_if_equal_32(word, &seen, value):
        pass


# ---- the gate --------------------------------------------------------------------------------------------------------

cdef uint64_t gate(Claims *claims) noexcept nogil:
    """The lowest position whose bytes somebody may still need; also revokes readers that lag too much."""
    cdef ControlBlock *control = claims.control
    cdef uint64_t lowest = load_acquire(&control.head)      # before the lines: later claims start at or past it
    cdef uint64_t head = lowest
    cdef uint32_t index
    fence_full()
    for index in range(load_acquire_32(&control.writers_used)):
        lowest = min(lowest, needed_by_writer(&claims.writers[index]))
    for index in range(load_acquire_32(&control.readers_used)):
        lowest = min(lowest, needed_by_reader(claims, &claims.readers[index], head))
    return lowest


cdef inline uint64_t needed_by_writer(WriterLine *line) noexcept nogil:
    cdef uint64_t needed = load_acquire(&line.sealing) - 1              # none: the highest u64
    if load_acquire(&line.intent_length) != 0:                          # its release made intent_position visible
        needed = min(needed, load_acquire(&line.intent_position))
    return needed


cdef inline uint64_t needed_by_reader(Claims *claims, ReaderLine *line, uint64_t head) noexcept nogil:
    cdef uint64_t needed = load_acquire(&line.sealing) - 1
    cdef uint64_t position
    cdef uint32_t gating = load_acquire_32(&line.gating)                # pairs with the registering store
    cdef uint32_t state = gating & GATING_STATE
    if state == NOT_GATING or state == DETACHED or claims.control.flags & OVERFLOW_OVERWRITE:
        return needed
    position = load_acquire(&line.position)                             # pairs with advance(): its reads are done
    if state == REVOCABLE and head > position and head - position > load_relaxed(&line.lag_limit):
        if swap_if_equal_32(&line.gating, &gating, gating | DETACHED):
            atomic_add(&claims.control.revoked_readers, 1)
        return needed
    return min(needed, position)


cdef uint64_t renew_limit(Claims *claims, WriterLine *line) noexcept nogil:
    """Look how far this writer may claim; publish it, then look again at who came meanwhile."""
    cdef uint64_t limit = gate(claims) + claims.mask + 1
    cdef uint64_t again
    store_release(&line.limit, limit)
    step()
    fence_full()                                    # pairs with the fence of whoever registers or seals
    again = gate(claims) + claims.mask + 1
    if again < limit:
        limit = again
        store_release(&line.limit, limit)
    return limit


cdef uint64_t highest_limit(Claims *claims) noexcept nogil:
    cdef uint64_t highest = 0
    cdef uint32_t index
    for index in range(load_acquire_32(&claims.control.writers_used)):
        highest = max(highest, load_acquire(&claims.writers[index].limit))
    return highest


cdef uint64_t boundary_from(Claims *claims, uint64_t position) noexcept nogil:
    cdef uint64_t lowest = load_acquire(&claims.control.head)
    cdef uint64_t boundary
    cdef uint32_t index
    for index in range(<uint32_t> BOUNDARY_COUNT):
        boundary = load_acquire(&claims.control.boundaries[index])
        if position <= boundary < lowest:
            lowest = boundary
    return lowest


cdef uint64_t frontier(Claims *claims) noexcept nogil:
    cdef uint64_t lowest = load_acquire(&claims.control.head)       # before the intents: later claims start past it
    cdef uint32_t index
    fence_full()
    for index in range(load_acquire_32(&claims.control.writers_used)):
        if load_acquire(&claims.writers[index].intent_length) != 0:
            lowest = min(lowest, load_acquire(&claims.writers[index].intent_position))
    return lowest


cdef bint is_intended(Claims *claims, uint64_t position) noexcept nogil:
    cdef uint32_t index
    for index in range(load_acquire_32(&claims.control.writers_used)):
        if intends(&claims.writers[index], position):
            return True
    return False


cdef inline bint intends(WriterLine *line, uint64_t position) noexcept nogil:
    return load_acquire(&line.intent_length) != 0 and load_acquire(&line.intent_position) == position


cdef bint is_visible(Claims *claims, uint64_t position) noexcept nogil:
    return (
        is_committed(claims, position) and not is_within_open_batch(claims, position)
        and is_committed(claims, position)          # a sealer clears the stamps within before it ends the batch
    )


cdef bint is_within_open_batch(Claims *claims, uint64_t position) noexcept nogil:
    cdef WriterLine *line
    cdef uint64_t first, length
    cdef uint32_t index
    for index in range(load_acquire_32(&claims.control.writers_used)):
        line = &claims.writers[index]
        first = load_acquire(&line.intent_position)
        length = load_acquire(&line.intent_length)
        if (
            length & CUTTING and first < position < first + length - CUTTING
            and not is_committed(claims, first)
            and load_acquire(&line.intent_length) == length         # else it is over, and `first` may be overwritten
            and load_acquire(&line.intent_position) == first        # else the length is of another intent
        ):
            return True
    return False


# ---- the dead --------------------------------------------------------------------------------------------------------

cdef bint is_committed(Claims *claims, uint64_t position) noexcept nogil:
    cdef SlotHeader *header = claims.locate(claims, position)
    return header != NULL and load_acquire(&header.stamp) == stamp_of(position, claims.control.key)


cdef bint is_gone(const Claims *claims, uint64_t position) noexcept nogil:
    """Whether a slot that was claimed there has been overwritten or let go since, so must have been committed."""
    cdef uint64_t head
    if claims.tail != NULL:
        return position < load_acquire(claims.tail)
    head = load_acquire(&claims.control.head)
    return head > position and head - position - 1 > claims.mask


cdef bint is_stalled(const Claims *claims, uint64_t position, uint64_t observed) noexcept nogil:
    """Whether somebody has claimed the slot there and not committed it; `observed`: its stamp word, read before."""
    return (
        observed != stamp_of(position, claims.control.key) and load_acquire(&claims.control.head) > position
        and not is_gone(claims, position)
    )


cdef bint looks_stalled(const Claims *claims, uint64_t position) noexcept nogil:
    cdef SlotHeader *header = claims.locate(claims, position)
    return header != NULL and is_stalled(claims, position, load_acquire(&header.stamp))


cdef void settle(Claims *claims, uint64_t position, uint64_t *sealing) noexcept nogil:
    cdef SlotHeader *header = claims.locate(claims, position)
    cdef uint64_t stamp = stamp_of(position, claims.control.key)
    cdef uint64_t observed, length, is_batch
    if header == NULL:
        if is_gone(claims, position):
            retire_dead_at(claims, position)
        return
    observed = load_acquire(&header.stamp)
    if is_stalled(claims, position, observed):
        if not all_dead(claims, position) or not looks_stalled(claims, position):
            return
        length = dead_length(claims, position)
        is_batch = length & CUTTING
        length -= is_batch
        if length == 0 or not looks_stalled(claims, position):
            return                                  # the stamp after the length: till then no dead line was retired
        store_release(sealing, position + 1)
        step()
        fence_full()                                # pairs with the fence in renew_limit
        header = claims.locate(claims, position)    # anew: looking elsewhere may have moved it
        if (
            header != NULL and load_acquire(&header.stamp) == observed and is_stalled(claims, position, observed)
            and all_dead(claims, position)
        ):
            step()
            if is_batch:
                clear_stamps_within(claims, position, length)
                header = claims.locate(claims, position)
            make_padding(header, length)
            step()
            if swap_if_equal(&header.stamp, &observed, stamp):
                step()
                atomic_add(&claims.control.sealed, 1)
        store_release(sealing, 0)
    step()
    retire_dead_at(claims, position)


cdef void clear_stamps_within(const Claims *claims, uint64_t position, uint64_t length) noexcept nogil:
    """Let no slot of a batch be found: some may be there, but not the first one."""
    cdef SlotHeader *header
    cdef uint64_t at = position + SLOT_ALIGNMENT
    while at < position + length:
        header = claims.locate(claims, at)
        if header != NULL and load_relaxed(&header.stamp) == stamp_of(at, claims.control.key):
            store_release(&header.stamp, 0)
            step()
        at += SLOT_ALIGNMENT


cdef void settle_stalled(Stall *stall, Claims *claims, uint64_t position, uint64_t *sealing) noexcept nogil:
    cdef int64_t now = monotonic_ns()
    if stall.position != position or stall.since == 0:
        stall.position = position
        stall.since = now
    elif now - stall.since > SETTLE_AFTER_NS:
        settle(claims, position, sealing)
        stall.since = now


cdef bint all_dead(Claims *claims, uint64_t position) noexcept nogil:
    """Whether somebody intends `position`, and every such writer is dead."""
    cdef bint found = False
    cdef uint32_t index
    cdef uint64_t owner
    for index in range(load_acquire_32(&claims.control.writers_used)):
        if intends(&claims.writers[index], position):
            owner = load_acquire(&claims.writers[index].owner)
            if owner == claims.owner or owner == 0 or owner_alive(owner):
                return False
            found = True
    return found


cdef uint64_t dead_length(Claims *claims, uint64_t position) noexcept nogil:
    """Length of the dead claim at `position`: that of a batch, with its mark; the shortest intended one that ends at a
    slot boundary; or the only one. 0 while that cannot be told."""
    cdef uint64_t head, length, end, candidate, previous = 0
    cdef uint32_t index
    while True:
        candidate = 0
        length = 0
        for index in range(load_acquire_32(&claims.control.writers_used)):
            if intends(&claims.writers[index], position):
                length = load_acquire(&claims.writers[index].intent_length)
                if load_acquire(&claims.writers[index].intent_position) != position:
                    continue                        # it went on meanwhile: the length is of another intent
                if length & CUTTING:
                    return length
                if length > previous and (candidate == 0 or length < candidate):
                    candidate = length
        if candidate == 0:
            return previous if is_only_length(claims, position, previous) else 0
        end = position + candidate
        head = load_acquire(&claims.control.head)
        if end == head or end < head and (
            claims.section and end % claims.section == 0 or is_intended(claims, end) or is_committed(claims, end)
        ):
            return candidate
        previous = candidate


cdef bint is_only_length(Claims *claims, uint64_t position, uint64_t length) noexcept nogil:
    cdef uint32_t index
    for index in range(load_acquire_32(&claims.control.writers_used)):
        if intends(&claims.writers[index], position):
            if load_acquire(&claims.writers[index].intent_length) != length:
                return False
    return length != 0


cdef void retire_dead_at(Claims *claims, uint64_t position) noexcept nogil:
    cdef uint32_t index
    for index in range(load_acquire_32(&claims.control.writers_used)):
        if intends(&claims.writers[index], position):
            retire_writer(claims, &claims.writers[index])


cdef void retire_writer(Claims *claims, WriterLine *line) noexcept nogil:
    """Free the line of a dead writer whose intent, if any, is void."""
    cdef uint64_t owner = load_acquire(&line.owner)
    cdef uint64_t position
    if owner == 0 or owner == claims.owner or owner_alive(owner):
        return
    if load_acquire(&line.intent_length) != 0:
        position = load_acquire(&line.intent_position)
        if load_acquire(&claims.control.head) > position:
            if not is_committed(claims, position) and not is_gone(claims, position):
                return
    if swap_if_equal(&line.owner, &owner, claims.owner):
        step()
        atomic_add(&claims.control.dead_writers, 1)
        release_writer_line(claims, line)


cdef void disown(Claims *claims) noexcept nogil:
    cdef uint64_t nobody_alive = owner_before_exec(claims.owner)
    cdef uint64_t owner
    cdef uint32_t index
    for index in range(claims.control.writer_lines):            # whatever `writers_used` says: nobody has looked yet
        owner = claims.owner
        if swap_if_equal(&claims.writers[index].owner, &owner, nobody_alive):
            step()
    for index in range(claims.control.reader_lines):
        owner = claims.owner
        if swap_if_equal(&claims.readers[index].owner, &owner, nobody_alive):
            step()
        owner = claims.owner
        swap_if_equal(&claims.readers[index].heir, &owner, nobody_alive)


cdef inline bint has_heir(ReaderLine *line) noexcept nogil:
    cdef uint64_t heir = load_acquire(&line.heir)
    return heir != 0 and owner_alive(heir)


cdef void reap(Claims *claims, uint64_t *sealing) noexcept nogil:
    cdef uint32_t index
    cdef uint64_t owner
    cdef WriterLine *writer
    cdef ReaderLine *reader
    for index in range(load_acquire_32(&claims.control.writers_used)):
        writer = &claims.writers[index]
        owner = load_acquire(&writer.owner)
        if owner != 0 and owner != claims.owner and not owner_alive(owner):
            if sealing != NULL and load_acquire(&writer.intent_length) != 0:
                settle(claims, load_acquire(&writer.intent_position), sealing)
            retire_writer(claims, writer)
    for index in range(load_acquire_32(&claims.control.readers_used)):
        reader = &claims.readers[index]
        owner = load_acquire(&reader.owner)
        if owner != 0 and owner != claims.owner and not owner_alive(owner) and not has_heir(reader):
            if swap_if_equal(&reader.owner, &owner, claims.owner):
                step()
                atomic_add(&claims.control.dead_readers, 1)
                release_reader_line(reader)
