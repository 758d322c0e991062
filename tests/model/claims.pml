/* Claim, commit, abort, seal, retire: the protocol told in src/nanobus/bus/claims.pxd, with a kill before any step.
 *
 * "line 4" is a line of "A claim, line by line" there, "settle 6" one of "Settling the dead". A step reads or writes one
 * shared word; between two steps anybody may run, and whoever runs may be killed. Nothing wraps here (gate_*.pml have
 * that), so a position has one slot and a stamp is a bit. Positions count units, of which a slot has one or two. No
 * process here looks at what others store right after a store of its own (but for `sealing`, which is the gate's), so
 * memory is taken as sequentially consistent.
 *
 *      writer      claims, then commits or aborts; a loser tries again or gives up; lines are handed on
 *      sealer      settles any position and retires any line at any moment, as if time had passed
 *      killer      kills up to DEATHS of them
 *      survivor    a sealer that looks once, when nobody else runs any more, and then counts
 *
 * Broken on purpose, each to be caught:
 *      NO_SECOND_LOOK          settle 3, 5 and 6 do not look at the stamp again
 *      SEALS_THE_LIVING        a stall is enough to seal
 *      SEALS_UNCLAIMED         an intent is enough to seal: the head is not asked
 *      LONGEST_LENGTH          settle 4 takes the longest length of the dead
 *      STAMP_BEFORE_INTENT     settle 4 asks for a committed slot first, then for an intent
 *      INTENT_AFTER_SWAP       line 5 before 3 and 4
 *      LOSER_KEEPS_INTENT      line 5 does not clear the intent of who lost
 *      CLEARED_BEFORE_STAMP    line 9 before 8
 *      STAMP_BEFORE_PAYLOAD    line 8 before 7
 *      FREED_BEFORE_SETTLED    a dead line is retired whatever became of its claim
 *      RETIRED_BY_ALL          a retirer does not swap itself in as the owner first
 *      FIRST_STAMP_FIRST       7b comes behind the first slot's stamp
 *      NO_MARK                 7a is left out
 *      LENGTH_OF_ANOTHER       settle 4 does not look whether the intent is still for that position
 *      STAMPS_STAY             settle 7 does not clear the stamps within
 *
 * With BATCH the longer claim is one of two slots, cut and stamped when it is committed (slot_writer.pxd).
 */
#ifndef WRITERS
#define WRITERS 3                       /* those past LINES come when a line is free */
#endif
#ifndef LINES
#define LINES   3
#endif
#ifndef SEALERS
#define SEALERS 1
#endif
#ifndef DEATHS
#define DEATHS  2
#endif
#ifndef END
#define END     3                       /* nobody claims past this */
#endif

#define NOBODY   0                      /* owners: 1 .. WRITERS, the sealers, the survivor */
#define SURVIVOR (WRITERS + SEALERS + 1)
#define PADDING  15
#define CUTTING  4                      /* added to the length of an intent */
#define LENGTH   (me == 2 -> 2 : 1)     /* so that two intents for one position differ */

mtype = { RUNS, RESTS, DEAD }           /* RESTS: alive, may still hold a line */

typedef Line { byte owner; byte position; byte length }
typedef Slot { byte size; byte message; byte payload; bool stamp }

byte head;
Line line[LINES];
Slot slot[END + 1];
mtype life[SURVIVOR + 1] = RUNS;

/* What nobody but the checks knows. */
byte claimant[END + 1];
byte claimed[END + 1];                  /* length; 0: no claim starts here */
bool sealed[END + 1];
byte deaths;
chan kill[SURVIVOR + 1] = [0] of { bit };

/* Whatever becomes visible is whole, and as long as what was claimed, so that the next slot starts where it ends. */
inline check_visible(p) {
    assert(claimed[p] != 0 && slot[p].size == claimed[p]);
    assert(slot[p].message == PADDING || slot[p].message == claimant[p] && slot[p].payload == claimant[p])
}

/* ---- writers ---- */

inline store_intent() {                 /* lines 3 and 4 */
    line[mine].position = position;
    line[mine].length = LENGTH
}

inline swap_head() {                    /* line 5 */
    atomic {
        won = (head == position);
        if
        :: won ->
            assert(claimed[position] == 0);
            head = position + LENGTH;
            claimed[position] = LENGTH;
            claimant[position] = me
        :: else
        fi
    }
}

inline fill_slot() {                    /* line 7, in one step: nobody may look before the stamp */
    atomic {
        assert(!sealed[position]);
        slot[position].size = LENGTH;
        slot[position].payload = me;
        slot[position].message = (me == 3 -> PADDING : me)                  /* number 3 aborts */
    }
}

inline store_stamp() {                  /* line 8 */
    atomic {
        assert(!sealed[position]);
        slot[position].stamp = true;
        check_visible(position)
    }
}

/* Of a batch: 7a to 7c, and line 8 for the first slot, from when on there are two messages. */
inline commit_batch() {
#ifndef NO_MARK
    line[mine].length = LENGTH + CUTTING;
#endif
    atomic {
        assert(!sealed[position]);
        slot[position].payload = me;
        slot[position].message = me;
        slot[position + 1].size = 1;
        slot[position + 1].payload = me;
        slot[position + 1].message = me
    };
#ifdef FIRST_STAMP_FIRST
    store_first_stamp();
    slot[position + 1].stamp = true
#else
    slot[position + 1].stamp = true;
    store_first_stamp()
#endif
}

inline store_first_stamp() {
    atomic {
        assert(!sealed[position]);
        slot[position].size = 1;
        claimed[position] = 1;
        claimed[position + 1] = 1;
        claimant[position + 1] = me;
        slot[position].stamp = true;
        check_visible(position)
    }
}

proctype writer(byte me) {
    byte mine, position;
    bool won;
    {
        if
        :: atomic { me <= LINES -> mine = me - 1 }
        :: atomic { me > LINES && line[0].owner == NOBODY -> line[0].owner = me; mine = 0 }
#if LINES > 1
        :: atomic { me > LINES && line[1].owner == NOBODY -> line[1].owner = me; mine = 1 }
#endif
        :: me > LINES -> goto rest     /* TooManyHandlesError */
        fi;
        do
        :: atomic { head + LENGTH <= END -> position = head };              /* line 1 */
#ifdef INTENT_AFTER_SWAP
            swap_head();
            if :: won -> store_intent() :: else fi;
#else
            store_intent();
            swap_head();
#endif
            if
            :: won ->                   /* line 6 is a fence */
#ifdef BATCH
                if
                :: LENGTH == 2 -> commit_batch(); line[mine].length = 0; break
                :: else
                fi;
#endif
#ifdef STAMP_BEFORE_PAYLOAD
                store_stamp();
                fill_slot();
#else
                fill_slot();
#ifdef CLEARED_BEFORE_STAMP
                line[mine].length = 0;
#endif
                store_stamp();
#endif
                line[mine].length = 0;                                      /* line 9 */
                break
            :: else ->
#ifndef LOSER_KEEPS_INTENT
                line[mine].length = 0
#endif
            fi
        :: head + LENGTH > END -> goto rest                                 /* line 2: gives up, keeps its line */
        od;
        line[mine].owner = NOBODY;
rest:   atomic { mine = 0; position = 0; won = false; life[me] = RESTS }
    } unless { atomic { kill[me]?0 -> life[me] = DEAD; deaths++; mine = 0; position = 0; won = false } }
}

/* ---- settling the dead ---- */

#define is_dead(who) (who != NOBODY && life[who] == DEAD)

/* `all_dead`: dead = somebody intends p, and all who do are dead. */
inline look_for_intents(p) {
    atomic { dead = false; at = 0 };
    do
    :: atomic { at < LINES && line[at].length == 0 -> at++ }
    :: at < LINES && line[at].length != 0 ->
        if
        :: atomic { line[at].position != p -> at++ }
        :: line[at].position == p ->
            owner = line[at].owner;
            if
            :: atomic { is_dead(owner) -> dead = true; owner = 0; at++ }
            :: atomic { !is_dead(owner) -> dead = false; owner = 0; break }
            fi
        fi
    :: at == LINES -> break
    od
}

/* `is_intended`: boundary = somebody intends p. */
inline look_for_intent(p) {
    atomic { boundary = false; at = 0 };
    do
    :: atomic { at < LINES && line[at].length == 0 -> at++ }
    :: at < LINES && line[at].length != 0 ->
        if
        :: atomic { line[at].position != p -> at++ }
        :: atomic { line[at].position == p -> boundary = true; break }
        fi
    :: at == LINES -> break
    od
}

#ifdef LENGTH_OF_ANOTHER
#define LOOKS_TWICE false
#else
#define LOOKS_TWICE true
#endif

/* `dead_length`, settle 4: length = that of the dead claim at p, 0 while it cannot be told. */
inline find_length(p) {
    do
    :: atomic { candidate = 0; others = false; at = 0 };
        do
        :: atomic { at < LINES && line[at].length == 0 -> at++ }
        :: at < LINES && line[at].length != 0 ->
            if
            :: atomic { line[at].position != p -> at++ }
            :: line[at].position == p ->
                seen = line[at].length;
                if
                :: atomic { LOOKS_TWICE && line[at].position != p -> at++ }
                :: atomic { !(LOOKS_TWICE && line[at].position != p) && seen >= CUTTING -> length = seen; goto found }
                :: atomic {
                        !(LOOKS_TWICE && line[at].position != p) && seen < CUTTING ->
                        others = others || seen != tried;
                        if
                        :: seen > tried && (candidate == 0 || seen < candidate) -> candidate = seen
                        :: else
                        fi;
                        at++
                    }
                fi
            fi
        :: at == LINES -> break
        od;
        if
        :: atomic { candidate == 0 -> length = (others -> 0 : tried); break }
#ifdef LONGEST_LENGTH
        :: atomic { candidate != 0 -> tried = candidate; length = candidate }
#else
        :: atomic { candidate != 0 && p + candidate == head -> length = candidate; break }
        :: atomic { candidate != 0 && p + candidate > head -> tried = candidate }
        :: candidate != 0 && p + candidate < head ->
#ifdef STAMP_BEFORE_INTENT
            boundary = slot[p + candidate].stamp;
            if :: boundary :: else -> look_for_intent(p + candidate) fi;
#else
            look_for_intent(p + candidate);
            if :: boundary :: else -> boundary = slot[p + candidate].stamp fi;
#endif
            if
            :: atomic { boundary -> length = candidate; break }
            :: atomic { !boundary -> tried = candidate }
            fi
#endif
        fi
    od;
found:
    atomic { candidate = 0; seen = 0; tried = 0; others = false; boundary = false; at = 0 }
}

#ifdef NO_SECOND_LOOK
#define LOOK_AGAIN(p)   (true)
#else
#define LOOK_AGAIN(p)   (!slot[p].stamp)
#endif
#ifdef SEALS_THE_LIVING
#define ARE_DEAD        true
#else
#define ARE_DEAD        dead
#endif
#ifdef SEALS_UNCLAIMED
#define IS_CLAIMED(p)   true
#else
#define IS_CLAIMED(p)   (head > p)
#endif

/* `settle` without its last line; every `goto` ends it. */
inline seal(p) {
    if
    :: slot[p].stamp -> goto done                                           /* settle 1 */
    :: !slot[p].stamp
    fi;
    if
    :: IS_CLAIMED(p)
    :: !IS_CLAIMED(p) -> goto done
    fi;
    look_for_intents(p);                                                    /* settle 2 */
    if
    :: ARE_DEAD && LOOK_AGAIN(p)                                            /* settle 3 */
    :: !(ARE_DEAD && LOOK_AGAIN(p)) -> goto done
    fi;
    find_length(p);                                                         /* settle 4 */
    if
    :: length != 0 && LOOK_AGAIN(p)                                         /* settle 5 */
    :: !(length != 0 && LOOK_AGAIN(p)) -> goto done
    fi;
    if                                                                      /* settle 6 */
    :: LOOK_AGAIN(p)
    :: !LOOK_AGAIN(p) -> goto done
    fi;
    look_for_intents(p);
    if
    :: !ARE_DEAD -> goto done
    :: ARE_DEAD
    fi;
    if                                                                      /* settle 7 */
    :: atomic { length < CUTTING }
    :: atomic { length >= CUTTING -> length = length - CUTTING };
#ifndef STAMPS_STAY
        slot[p + 1].stamp = false
#endif
    fi;
    atomic {                                                                /* it writes over no message */
        assert(claimed[p] == length && life[claimant[p]] == DEAD);
        assert(!slot[p].stamp || sealed[p] && slot[p].size == length);
        slot[p].size = length;
        slot[p].message = PADDING
    };
    atomic {                                                                /* settle 8 */
        if
        :: !slot[p].stamp -> slot[p].stamp = true; sealed[p] = true; check_visible(p)
        :: else
        fi
    }
}

/* `retire_writer`, of a line whose owner was found dead. */
inline retire(which) {
#ifndef FREED_BEFORE_SETTLED
    if
    :: line[which].length == 0
    :: line[which].length != 0 ->
        if
        :: head <= line[which].position                                     /* never claimed */
        :: head > line[which].position ->
            if
            :: slot[line[which].position].stamp                             /* committed by somebody */
            :: !slot[line[which].position].stamp -> goto kept
            fi
        fi
    fi;
#endif
#ifndef RETIRED_BY_ALL
    if
    :: atomic { line[which].owner == owner -> line[which].owner = me }
    :: line[which].owner != owner -> goto kept
    fi;
#endif
    line[which].length = 0;
    line[which].owner = NOBODY;
kept:
    owner = 0
}

/* One pass: `settle(target)`, or with `reaps` the end of `reap`, which asks after the owner of every line. */
inline look() {
    if
    :: !reaps -> seal(target)
    :: reaps
    fi;
done:
    atomic { dead = false; length = 0; at = 0 };
    do                                                                      /* settle 9: `retire_dead_at` */
    :: atomic { at < LINES && !reaps && line[at].length == 0 -> at++ }
    :: at < LINES && (reaps || line[at].length != 0) ->
        if
        :: atomic { !reaps && line[at].position != target -> at++ }
        :: reaps || line[at].position == target ->
            owner = line[at].owner;
            if
            :: atomic { !is_dead(owner) -> owner = 0 }
            :: is_dead(owner) -> retire(at)
            fi;
            at++
        fi
    :: at == LINES -> break
    od;
    at = 0
}

#define LOCALS  byte at, owner, length, candidate, seen, tried, target; bool dead, others, boundary, reaps

proctype sealer(byte me) {
    LOCALS;
    {
        do
        :: atomic {
                if
                :: reaps = false        /* position 0: the others are like it */
                :: LINES < WRITERS -> reaps = true
                :: break
                fi
            };
            look()
        od;
        atomic { reaps = false; life[me] = RESTS }
    } unless {
        atomic {
            kill[me]?0 -> life[me] = DEAD; deaths++;
            at = 0; owner = 0; length = 0; candidate = 0; seen = 0; tried = 0;
            dead = false; others = false; boundary = false; reaps = false
        }
    }
}

proctype survivor(byte me) {
    LOCALS;
    atomic {
        do
        :: !reaps ->
            reaps = (target == head);
            look();
            if
            :: !reaps ->
                assert(slot[target].stamp);             /* one look is enough: nothing stalls for ever */
                check_visible(target);
                assert(slot[target].size == 1 || !slot[target + 1].stamp);
                target = target + slot[target].size
            :: reaps
            fi
        :: reaps -> break
        od;
        do                                              /* every line of the dead is free again */
        :: at < LINES -> assert(line[at].owner == NOBODY || life[line[at].owner] == RESTS); at++
        :: else -> break
        od
    }
}

/* ---- who else there is ---- */

#define KILL(who) kill[(deaths < DEATHS && who < SURVIVOR -> who : 0)] ! 0       /* nobody listens on the first */

proctype killer() {
end:
    do
    :: KILL(1)
    :: KILL(2)
    :: KILL(3)
    :: KILL(4)
    od
}

init {
    byte me;
    atomic {
        me = 1;
        do
        :: me < SURVIVOR ->
            if
            :: me <= LINES -> line[me - 1].owner = me
            :: else
            fi;
            if
            :: me <= WRITERS -> run writer(me)
            :: else -> run sealer(me)
            fi;
            me++
        :: else -> break
        od;
        run killer();
        me = 1
    };
    do
    :: atomic { me < SURVIVOR && life[me] != RUNS -> me++ }
    :: atomic { me == SURVIVOR -> run survivor(me); break }
    od
}
