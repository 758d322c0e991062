"""Who may write where: the protocol of many writers in many processes, any of which may die at any instruction.

A claim, line by line. L is the writer's own WriterLine; every store is a release unless said otherwise.

    1  position = head                                  acquire
    2  position + length <= L.limit, else make_room     the gate, below
    3  L.intent_position = position
    4  L.intent_length = length                         intent: "position, length is or may be mine"
    5  head: position -> position + length              compare-and-swap, acquire + release; on failure
                                                        L.intent_length = 0 and from 1
    6  release fence                                    head moves before a byte of the slot does (unregistered readers
                                                        check the head after they copied)
    7  header, payload                                  plain stores
    8  stamp                                            visible from here
    9  L.intent_length = 0

The position claimed is the position intended, so an outstanding claim always shows in some line's intent, and every
intent's position was once the head: a true slot boundary. Since (4) precedes (5), whoever sees the head past `position`
sees the intent too, or a later state of that line.

A kill leaves: before 4 nothing; after 4 an intent nobody claimed, or that another writer won; after 5 a stalled slot
with its intent; after 8 a committed slot with its intent. `settle` tells them apart.

The gate. gate = min(head, every outstanding intent, every slot being sealed, every gating reader); nobody claims a byte
at or past gate + capacity, so neither an unread slot nor a claim in flight is ever overwritten: a late stamp can only
land on its own slot. The gate only grows, so each writer keeps gate + capacity as its own limit and looks again when a
claim would pass it. Looking races with whoever registers as a reader, or as a sealer, at an old position P, thus both
sides publish, fence and look again:

    writer   limit = scan() + capacity; L.limit = limit; full fence; if scan() + capacity < limit, lower it
    reader   its line shows P; full fence; up to the highest L.limit - capacity it reads as an observer does, copying
             and then looking whether it was overtaken; from there on every writer has to look again, and sees it
    sealer   its line shows P; full fence; if the dead intent is gone, give up

If the writer's second scan misses P, its fence came first, and the other side's look sees the limit (or that the dead
line was settled, which the writer's first scan had seen). A limit published after that look was computed with P.

An intent may be out of date: its writer read the head (1), the others went on for a lap, and it was killed between 4
and 5. What it shows was claimed by somebody else, committed, and overwritten since; nobody's limit counts with it, so
its bytes are another slot's now. The head tells: a claim that is outstanding holds it within a lap. In a journal, whose
segments go, the tail tells.

Settling the dead. `settle(position)` is called by whoever has waited SETTLE_AFTER_NS for a slot at `position` < head.
A slot is stalled if its stamp word, read first, is not the stamp, and the head, read then, is within a lap.

    1  observed = the stamp word there                  not stalled: committed, now or a lap ago: done
    2  collect the intents for `position`; a living owner among them: wait, it commits or moves on
    3  look whether it is still stalled                 the winner of 5 shows its intent from 4 to 9, so if it is, the
                                                        winner is among those collected: dead
    4  a length with the mark CUTTING is that of the claim. Else, if they differ, the next boundary decides: the
       shortest length for which position + length is the head, or a multiple of the section, or an intent's position,
       or a committed slot (looked at in this order: an intent is cleared after its stamp)
    5  still stalled? A dead line is retired only after the stamp, so 4 saw all of them, and every sealer that gets here
       has the same length
    6  publish `sealing`, full fence, see that the stamp word is still the observed one, then that the head is within a
       lap, and that the dead intents are still there: then the gate cannot pass
    7  of a batch the stamps within are cleared; header of padding      every sealer writes the same bytes
    8  stamp word: observed -> stamp                    compare-and-swap: the first sealer wins
    9  `sealing` = 0, and the dead lines are retired

A batch is one claim of what several slots take, cut into slots when it is committed: lines 7 and 8 are then

    7a L.intent_length = length | CUTTING               this claim is won, and from here on there are stamps within
    7b header, payload and stamp of each slot but the first, from the last one to the first
    7c header and payload of the first slot

Nobody sees a slot of it before the first one's stamp: who comes along the log stops there, and who goes to a position
that somebody named asks `is_visible`. Without 7a a sealer could take a stamp within for the boundary of another intent,
of a writer that wanted the position in vain; and what the stamps of a dead batch belong to must not be found later by
who looks for a position, so they are cleared. Every load of `is_visible` is an acquire:

    1  the stamp at `position` fits                     so each line is seen as of 7a of the batch it is in, or later
    2  no line has P = L.intent_position, a length with CUTTING that reaches from before `position` to behind it, no
       stamp at P, then the same length and P once more     P only grows, hence all of it is of one intent
    3  the stamp fits once more

A batch that 2 does not find was over by then: its first stamp had been seen, or its line went on after that. If its
writer wrote that stamp, the slot is committed; if a sealer did, it had cleared the one within before, and 3 sees that.
A batch that 2 finds is open: as long as the length is there, the claim holds the gate, so nobody has overwritten P.

Retiring a line of the dead: owner: dead -> self (compare-and-swap: exactly one retirer wins, and only its stores reach
the line), clear the line, owner = 0. A line is retired once its intent is void: never claimed (head <= position),
committed by somebody (stamp), or a lap behind. Until then it is given to nobody, so intents never change under a
sealer's eyes. A sealer or retirer that dies leaves a line whose owner is dead, and the next one goes on from there.

Revoking a reader. `gating` is swapped from REVOCABLE to DETACHED, with the turn it was read with: whoever was slow to
decide meets another turn once the line has a new owner, and revokes nobody.
"""
from libc.stdint cimport int64_t, uint8_t, uint64_t

from nanobus.bus.control cimport ControlBlock, ReaderLine, WriterLine
from nanobus.core.layout cimport SlotHeader

cdef enum:
    SETTLE_AFTER_NS = 1_000_000         # how long a claim may stall before `settle_stalled` looks at its owner
    REAP_AFTER_NS = 2_000_000           # how long a writer finds no room before dead readers are looked for
    CUTTING = 1                         # bit of an intent's length: a batch that is being committed

cdef struct Claims:
    ControlBlock *control
    WriterLine *writers
    ReaderLine *readers
    uint64_t owner                      # this process
    # The slot at a position, NULL where this handle cannot reach it; only settling asks.
    SlotHeader *(*locate)(const Claims *claims, uint64_t position) noexcept nogil
    uint8_t *ring                       # what `locate` needs: of a ring
    uint64_t mask                       # capacity - 1
    void *place                         # of any other bus
    uint64_t section                    # every multiple of it is a slot boundary; 0: no such rule
    const uint64_t *tail                # what is before it was let go; NULL: of a ring, where the head tells

# The unfinished claim somebody waits for; all zero: none was seen yet.
cdef struct Stall:
    uint64_t position
    int64_t since                       # monotonic ns

cdef void bind(Claims *claims, ControlBlock *control) noexcept nogil
cdef void bind_ring(Claims *claims, ControlBlock *control, uint8_t *ring) noexcept nogil

# Lines: NULL where all are taken by the living.
cdef WriterLine *take_writer_line(Claims *claims) noexcept nogil
cdef ReaderLine *take_reader_line(Claims *claims) noexcept nogil
cdef void release_writer_line(Claims *claims, WriterLine *line) noexcept nogil
cdef void release_reader_line(ReaderLine *line) noexcept nogil

cdef uint64_t gate(Claims *claims) noexcept nogil
cdef uint64_t renew_limit(Claims *claims, WriterLine *line) noexcept nogil
cdef uint64_t highest_limit(Claims *claims) noexcept nogil
# The lowest remembered slot boundary at or past `position`; the head where there is none.
cdef uint64_t boundary_from(Claims *claims, uint64_t position) noexcept nogil
# The position before which every slot is committed, padding or not: the head, or the lowest outstanding intent.
cdef uint64_t frontier(Claims *claims) noexcept nogil
cdef bint is_intended(Claims *claims, uint64_t position) noexcept nogil
# Whether a slot is committed at `position`, a multiple of 32 that may be any: also one within a batch in flight.
cdef bint is_visible(Claims *claims, uint64_t position) noexcept nogil

# Seal what the dead claimed at `position`; `sealing` is the word of the caller's own line.
cdef void settle(Claims *claims, uint64_t position, uint64_t *sealing) noexcept nogil
# The claim at `position` is found unfinished: if it has been for long, settle it.
cdef void settle_stalled(Stall *stall, Claims *claims, uint64_t position, uint64_t *sealing) noexcept nogil
# Give the lines that bear this process's name to the dead: it has taken none yet. See forking.pxd.
cdef void disown(Claims *claims) noexcept nogil
# Free every line of the dead, settling their claims first; with NULL, of those with nothing to settle.
cdef void reap(Claims *claims, uint64_t *sealing) noexcept nogil
