"""Reading the counters of a control block while others write them."""
from libc.stdint cimport uint32_t, uint64_t

from nanobus.bus.claims cimport Claims, gate
from nanobus.bus.control cimport (
    GATING, GATING_STATE, OVERFLOW_OVERWRITE, REVOCABLE, ControlBlock, ReaderLine, WriterLine
)
from nanobus.core.atomics cimport load_acquire, load_acquire_32, load_relaxed, load_relaxed_32
from nanobus.core.owner cimport process_of

cdef dict count(Claims *claims):
    cdef ControlBlock *control = claims.control
    cdef uint64_t head = load_acquire(&control.head)
    cdef WriterLine *writer
    cdef ReaderLine *reader
    cdef uint32_t index
    from nanobus.bus.statistics import ReaderStatistics, WriterStatistics   # here: dataclasses take long to import
    writers = []
    readers = []
    for index in range(load_acquire_32(&control.writers_used)):
        writer = &claims.writers[index]
        if load_acquire(&writer.owner):
            writers.append(WriterStatistics(
                process=process_of(load_acquire(&writer.owner)),
                committed=load_relaxed(&writer.committed), committed_bytes=load_relaxed(&writer.committed_bytes),
                aborted=load_relaxed(&writer.aborted), full=load_relaxed(&writer.full),
            ))
    for index in range(load_acquire_32(&control.readers_used)):
        reader = &claims.readers[index]
        if load_acquire(&reader.owner):
            position = load_acquire(&reader.position)
            readers.append(ReaderStatistics(
                process=process_of(load_acquire(&reader.owner)),
                position=position, lag=max(0, head - position),
                gating=load_acquire_32(&reader.gating) & GATING_STATE in (GATING, REVOCABLE)
                and not control.flags & OVERFLOW_OVERWRITE,
                gaps=load_relaxed_32(&reader.gaps), lost_bytes=load_relaxed(&reader.lost_bytes),
            ))
    return {
        "head": head, "gate": gate(claims), "capacity": control.capacity,
        "committed": load_relaxed(&control.committed) + sum([one.committed for one in writers]),
        "committed_bytes": load_relaxed(&control.committed_bytes) + sum([one.committed_bytes for one in writers]),
        "aborted": load_relaxed(&control.aborted) + sum([one.aborted for one in writers]),
        "full": load_relaxed(&control.full) + sum([one.full for one in writers]),
        "sealed": load_relaxed(&control.sealed), "dead_writers": load_relaxed(&control.dead_writers),
        "dead_readers": load_relaxed(&control.dead_readers),
        "revoked_readers": load_relaxed(&control.revoked_readers),
        "writers": tuple(writers), "readers": tuple(readers),
    }
