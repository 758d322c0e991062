/* Handing a reader's line over: the protocol told in src/nanobus/bus/handover.pxd, with a kill before any step.
 *
 * One line, so that everybody meets there. A step reads or writes one shared word; the gating state and the turn are one
 * word. Nobody looks at what others store right after a plain store of its own, so memory is taken as sequentially
 * consistent.
 *
 *      parent      holds a place, lets a child adopt it, takes it back from a dead one for the next; lets go once no
 *                  child is on its way there; then reads the line like anybody, or holds a second place before it lets
 *                  go of the first
 *      child       adopts, reads, closes
 *      stranger    takes the line once it is free, reads, closes
 *      reaper      frees what the dead left, unless their heir lives
 *      killer      kills up to DEATHS of them
 *
 * Whoever reads finds the line as its own, gating, and at the position the life before it came to. In the end nobody
 * alive wants the line any more, and it has to be free.
 *
 * Broken on purpose, each to be caught:
 *      HEIR_NOT_ASKED          a reaper does not ask for the heir
 *      HEIR_CLEARED_LAST       who closes forgets the heir last
 *      HEIR_STAYS              a place that is let go while its child lives keeps its parent as the heir
 *      OWNER_ASKED_LAST        who takes back looks at turn and heir first, then at the owner
 *      TURN_NOT_ASKED          ... does not look at the turn
 *      ADOPTED_BY_STORE        a child stores itself as the owner, without a swap
 *      LETS_GO_EARLY           a parent lets go while its child is on its way
 */
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef STRANGERS
#define STRANGERS 1
#endif

#define NOBODY   0
#define PARENT   1
#define CHILD    2                      /* and 3: the next life */
#define STRANGER 4
#define REAPER   5
#define SURVIVOR 6

mtype = { RUNS, RESTS, DEAD }
mtype life[SURVIVOR + 1] = RUNS;

/* The line. */
byte owner, heir, turn, position;
bool gating;

/* What nobody but the checks knows, and what a parent tells its child. */
bool begun[SURVIVOR], adopted[SURVIVOR], closing[SURVIVOR];
byte ticket;
byte stands;                            /* where the next read from the place is */
byte deaths;
chan kill[SURVIVOR] = [0] of { bit };

#define swap_owner(from, to) \
    atomic { swapped = (owner == from); if :: swapped -> owner = to :: else fi }

/* ---- any line ---- */

inline take_line(who) {                 /* `take_reader_line`, `place` */
    atomic {
        swapped = (owner == NOBODY);
        if
        :: swapped -> owner = who; assert(!gating && heir == NOBODY)
        :: else
        fi
    };
    if
    :: atomic { swapped -> position = 10 * who + turn }; gating = true
    :: !swapped
    fi
}

inline free_line() {                    /* `release_reader_line` */
#ifndef HEIR_CLEARED_LAST
    heir = NOBODY;
#endif
    atomic { gating = false; turn++; position = 0 };
#ifdef HEIR_CLEARED_LAST
    heir = NOBODY;
#endif
    owner = NOBODY
}

inline read(who) { assert(owner == who && gating && position == 10 * who + turn) }

/* ---- the parent ---- */

inline hold() {
    take_line(PARENT);
    if
    :: swapped -> atomic { heir = PARENT; ticket = turn; stands = position }
    :: !swapped
    fi
}

inline ours(asked) {                    /* got = this is still the turn, and nobody gave the place up */
    if
#ifndef TURN_NOT_ASKED
    :: turn != asked -> got = false
    :: turn == asked -> got = (heir == PARENT)
#else
    :: true -> got = (heir == PARENT)
#endif
    fi
}

inline take_back(asked) {               /* got = the line is the parent's */
#ifdef OWNER_ASKED_LAST
    ours(asked);
    if :: got -> found = owner; got = (found != NOBODY && (found == PARENT || life[found] == DEAD)) :: !got fi;
#else
    found = owner;
    got = (found != NOBODY && (found == PARENT || life[found] == DEAD));
    if :: got -> ours(asked) :: !got fi;
#endif
    if
    :: got && found != PARENT ->
        swap_owner(found, PARENT);
        got = swapped
    :: !got || found == PARENT
    fi
}

inline let_go(asked) {
    take_back(asked);
    if
    :: got -> free_line()
    :: !got ->
#ifndef HEIR_STAYS
        if
        :: atomic { turn == asked && heir == PARENT -> heir = NOBODY }      /* the other threads of the parent wait */
        :: else
        fi
#endif
    fi;
    got = false
}

#ifdef LETS_GO_EARLY
#define MAY_LET_GO(child) true
#else
#define MAY_LET_GO(child) (adopted[child] || life[child] != RUNS)
#endif

proctype parent() {
    byte found, child, first;
    bool got, swapped;
    {
        hold();
        if :: !swapped -> goto rest :: swapped fi;
        first = ticket;
        child = CHILD;
        atomic { swapped = false; begun[CHILD] = true };
        do
        :: life[child] == DEAD ->
            take_back(ticket);
            assert(got || closing[child]);
            if
            :: got ->
                assert(owner == PARENT && turn == ticket && gating && position == stands);
                if
                :: atomic { child == CHILD -> child++; begun[child] = true }
                :: break
                fi
            :: !got -> break
            fi
        :: adopted[child] ->            /* it may live: then there is nothing to take */
            take_back(ticket);
            if
            :: got -> assert(turn == ticket && gating && position == stands); break
            :: !got
            fi
        :: life[CHILD] == RESTS && child == CHILD ->
            hold();                     /* a second place, while there is still the first */
            if
            :: swapped -> atomic { child++; begun[child] = true }; let_go(first)
            :: !swapped
            fi;
            break
        :: MAY_LET_GO(child) -> break
        od;
        MAY_LET_GO(child);
        let_go(ticket);
        take_line(PARENT);
        if
        :: swapped -> read(PARENT); free_line()
        :: !swapped
        fi;
rest:   atomic { found = 0; child = 0; first = 0; got = false; swapped = false; life[PARENT] = RESTS }
    } unless {
        atomic {
            kill[PARENT]?0 -> life[PARENT] = DEAD; deaths++;
            found = 0; child = 0; first = 0; got = false; swapped = false
        }
    }
}

/* ---- the others ---- */

proctype child(byte me) {
    byte asked;
    bool swapped;
    {
        if
        :: begun[me] -> asked = ticket
        :: !begun[me] && life[PARENT] != RUNS -> goto rest
        fi;
        swapped = false;
        if
        :: turn == asked ->
            if
            :: heir == PARENT ->
#ifdef ADOPTED_BY_STORE
                atomic { owner = me; swapped = true }
#else
                swap_owner(PARENT, me)
#endif
            :: heir != PARENT
            fi
        :: turn != asked
        fi;
        if
        :: !swapped -> assert(life[PARENT] == DEAD); goto rest
        :: swapped -> adopted[me] = true
        fi;
        do
        :: atomic {
                assert(owner == me && turn == asked && gating && position == stands);
                position++; stands++
            };
            assert(owner == me);
            break
        :: break
        od;
        atomic { closing[me] = true; asked = 0; swapped = false };
        free_line();
rest:   atomic { asked = 0; swapped = false; life[me] = RESTS }
    } unless { atomic { kill[me]?0 -> life[me] = DEAD; deaths++; asked = 0; swapped = false } }
}

proctype stranger() {
    bool swapped;
    {
        if
        :: STRANGERS > 0 && owner == NOBODY ->
            take_line(STRANGER);
            if
            :: swapped -> read(STRANGER); free_line()
            :: !swapped
            fi
        :: true
        fi;
        atomic { swapped = false; life[STRANGER] = RESTS }
    } unless { atomic { kill[STRANGER]?0 -> life[STRANGER] = DEAD; deaths++; swapped = false } }
}

inline reap(who) {
    found = owner;
    if
    :: found != NOBODY && life[found] == DEAD ->
#ifdef HEIR_NOT_ASKED
        got = true;
#else
        next = heir;
        got = (next == NOBODY || life[next] == DEAD);
#endif
        if
        :: got ->
            swap_owner(found, who);
            if :: swapped -> free_line() :: !swapped fi
        :: !got
        fi
    :: found == NOBODY || life[found] != DEAD
    fi;
    atomic { found = 0; next = 0; got = false; swapped = false }
}

proctype reaper() {
    byte found, next;
    bool got, swapped;
    {
        do
        :: owner != NOBODY && life[owner] == DEAD -> reap(REAPER)
        :: break
        od;
        life[REAPER] = RESTS
    } unless {
        atomic { kill[REAPER]?0 -> life[REAPER] = DEAD; deaths++; found = 0; next = 0; got = false; swapped = false }
    }
}

#define KILL(who) kill[(deaths < DEATHS -> who : 0)] ! 0                /* nobody listens on the first */

proctype killer() {
end:
    do
    :: KILL(PARENT)
    :: KILL(CHILD)
    :: KILL(CHILD + 1)
    :: KILL(STRANGER)
    :: KILL(REAPER)
    od
}

init {
    byte found, next;
    bool got, swapped;
    atomic {
        run parent();
        run child(CHILD);
        run child(CHILD + 1);
        run stranger();
        run reaper();
        run killer();
        found = 1
    };
    do
    :: atomic { found < SURVIVOR && life[found] != RUNS -> found++ }
    :: atomic { found == SURVIVOR -> found = 0; break }
    od;
    reap(SURVIVOR);
    assert(owner == NOBODY && heir == NOBODY && !gating)
}
