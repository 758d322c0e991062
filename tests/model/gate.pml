/* The gate of a ring that wraps: who may write where somebody still looks. Told in src/nanobus/bus/claims.pxd.
 *
 * A ring of CAPACITY slots, each of one unit (lengths are the matter of claims.pml). Memory is as on x86: a store of the
 * three that are published (a writer's `limit`, a reader's `gating`, a sealer's `sealing`) enters a store buffer of one
 * entry, and the others see it any time later, at the latest with the next fence or swap of who stored it. All other
 * stores are seen at once: seen later they would only hold the gate for longer.
 *
 *      writer      renews its limit, claims, writes, commits, until END or until it gives up and lets go of its line
 *      reader      registers (`place`) at any position still there, reads in place, or copies what may be overtaken
 *      sealer      settles whatever the dead left, as slowly as it likes
 *      killer      kills up to DEATHS of them
 *      survivor    reaps and finds room, when nobody else runs any more
 *
 * Broken on purpose, each to be caught:
 *      NO_WRITER_FENCE         none between publishing the limit and the second scan (nor in that scan)
 *      NO_SECOND_SCAN          `renew_limit` does not look again
 *      NO_READER_FENCE         none between registering and looking for the highest limit
 *      NO_LOOK_AT_LIMITS       a reader that has registered reads in place at once
 *      NO_LOOK_AT_HEAD         ... does not see that it was overtaken by a writer that has gone since
 *      COPY_NOT_CHECKED        the head is not looked at after copying
 *      CLAIMS_DO_NOT_GATE      the scan leaves out intents
 *      LOSER_KEEPS_INTENT      ... which a loser does not clear
 *      DEAD_READERS_GATE       nobody reaps readers
 *      NO_SEALER_FENCE         none between publishing `sealing` and the last looks
 *      NO_LAP_LOOK             `settle` does not ask whether the ring has wrapped: who looked at the head, slept for a lap,
 *                              showed its intent and died had no claim, and its position holds another's message
 *      SEALERS_DO_NOT_GATE     the scan leaves out `sealing`
 */
#ifndef WRITERS
#define WRITERS  2
#endif
#ifndef READERS
#define READERS  1
#endif
#ifndef SEALERS
#define SEALERS  0
#endif
#ifndef DEATHS
#define DEATHS   1
#endif
#ifndef END
#define END      3
#endif
#define CAPACITY 2
#define PROCESSES (WRITERS + READERS + SEALERS)
#define NOWHERE  100                    /* what `sealing - 1` is for 0: the highest position */
#define NONE     100                    /* nothing buffered */

/* Processes are numbered: the writers, the readers, the sealers. Each has the line of its number. With SEALERS_FIRST the
 * scan meets the sealers' lines before those of the writers; a sealer may be either. */
mtype = { RUNS, RESTS, DEAD }
mtype life[PROCESSES] = RUNS;

byte head;
bool intends[WRITERS];                  /* intent_length */
byte intent[WRITERS];                   /* intent_position */
byte limit[WRITERS];
byte position[PROCESSES];               /* of readers */
bool gating[PROCESSES];
byte sealing[PROCESSES] = NOWHERE;
byte buffer[PROCESSES] = NONE;          /* the store on its way: a limit, a true, a position */

byte stamp[CAPACITY];                   /* position + 1 */
byte bytes[CAPACITY];                   /* whose they are: position + 1 */
byte deaths;
chan kill[PROCESSES + 1] = [0] of { bit };

#define is_reader(who) (who >= WRITERS && who < WRITERS + READERS)

inline drain(who) {                     /* inside atomic: what a fence does */
    if
    :: buffer[(who)] == NONE
    :: buffer[(who)] != NONE && who < WRITERS -> limit[who] = buffer[(who)]
    :: buffer[(who)] != NONE && is_reader(who) -> gating[who] = buffer[(who)]
    :: buffer[(who)] != NONE && who >= WRITERS + READERS -> sealing[who] = buffer[(who)]
    fi;
    buffer[(who)] = NONE
}

inline store(what) { atomic { drain(me); buffer[me] = what } }

#define AT(p) (p) % CAPACITY

/* ---- writers ---- */

#ifdef NO_WRITER_FENCE
#define FENCE skip
#else
#define FENCE drain(me)
#endif

inline least(p) { lowest = (p < lowest -> p : lowest) }

#ifdef SEALERS_DO_NOT_GATE
#define SCANNED (WRITERS + READERS)
#else
#define SCANNED PROCESSES
#endif
#define is_sealer(who) (who >= WRITERS + READERS && who < SCANNED)

inline scan() {                         /* `gate` */
    atomic { lowest = head; FENCE };
#ifdef SEALERS_FIRST
    at = WRITERS + READERS;
    do
    :: atomic { is_sealer(at) -> least(sealing[at]); at++ }
    :: atomic { at == SCANNED -> at = 0; break }
    od;
#endif
    do
    :: atomic {
            at < WRITERS ->
#ifndef CLAIMS_DO_NOT_GATE
            if :: intends[at] -> least(intent[at]) :: else fi;
#endif
            at++
        }
    :: atomic { is_reader(at) && !gating[at] -> at++ }
    :: is_reader(at) && gating[at] -> atomic { least(position[at]); at++ }
#ifdef SEALERS_FIRST
    :: at == WRITERS + READERS -> break
#else
    :: atomic { is_sealer(at) -> least(sealing[at]); at++ }
    :: at == SCANNED -> break
#endif
    od;
    at = 0
}

inline renew_limit() {
    scan();
    bound = lowest + CAPACITY;
    store(bound);
#ifndef NO_SECOND_SCAN
    scan();
    if
    :: atomic { lowest + CAPACITY < bound -> bound = lowest + CAPACITY }; store(bound)
    :: lowest + CAPACITY >= bound
    fi;
#endif
    lowest = 0
}

proctype writer(byte me) {
    byte lowest, at, bound, claimed;
    {
        do
        :: atomic { head < END && head < bound -> claimed = head };         /* line 1, 2 */
            atomic { intent[me] = claimed; intends[me] = true };            /* line 3, 4: the gate sees both or none */
            if
            :: atomic { head == claimed -> drain(me); head++ };             /* line 5 */
                atomic {                                                    /* line 7 */
                    assert(head - claimed <= CAPACITY);
                    bytes[AT(claimed)] = claimed + 1
                };
                atomic {                                                    /* line 8 */
                    assert(head - claimed <= CAPACITY);
                    stamp[AT(claimed)] = claimed + 1
                }
                intends[me] = false                                         /* line 9 */
            :: atomic { head != claimed -> drain(me) };
#ifndef LOSER_KEEPS_INTENT
                intends[me] = false
#endif
            fi;
            claimed = 0
        :: head < END && head >= bound -> renew_limit()
        :: head == END || head >= bound -> break                            /* done, or BUS_FULL */
        od;
        atomic { drain(me); limit[me] = 0; bound = 0; life[me] = RESTS }    /* `release_writer_line` */
    } unless {
        atomic { kill[me]?0 -> life[me] = DEAD; deaths++; drain(me); lowest = 0; at = 0; bound = 0; claimed = 0 }
    }
}

/* ---- readers ---- */

inline resume() {
    cursor = head - CAPACITY / 2;
    position[me] = cursor
}

proctype reader(byte me) {
    byte cursor, highest, at, protected_from;
    bool copies, arriving, overtaken;
    {
        /* place */
        if
        :: cursor = head
        :: atomic { head >= 1 -> cursor = head - 1 }
        :: atomic { head >= CAPACITY -> cursor = head - CAPACITY }
        fi;
        position[me] = cursor;
        store(true);
#ifndef NO_READER_FENCE
        atomic { drain(me) };
#endif
#ifndef NO_LOOK_AT_LIMITS
        do                              /* highest_limit */
        :: atomic { at < WRITERS -> highest = (limit[at] > highest -> limit[at] : highest); at++ }
        :: atomic {
                at == WRITERS ->
                if
                :: highest > cursor + CAPACITY -> protected_from = highest - CAPACITY; copies = true; arriving = true
                :: else
                fi;
                at = 0; highest = 0;
                break
            }
        od;
#endif
#ifndef NO_LOOK_AT_HEAD
        atomic {
            if
            :: head - cursor > CAPACITY && !copies -> protected_from = cursor + 1; copies = true; arriving = true
            :: else
            fi
        };
#endif
        /* peek, advance */
        do
        :: stamp[AT(cursor)] == cursor + 1 ->
            if
            :: atomic { arriving && cursor >= protected_from -> arriving = false; copies = false; protected_from = 0 }
            :: !arriving || cursor < protected_from
            fi;
            if
            :: atomic { copies -> overtaken = (bytes[AT(cursor)] != cursor + 1) };          /* memcpy */
                if
#ifndef COPY_NOT_CHECKED
                :: atomic { head - cursor > CAPACITY -> overtaken = false }; resume()
                :: atomic { head - cursor <= CAPACITY ->
#else
                :: atomic { true ->
#endif
                        assert(!overtaken);
                        cursor++
                    };
                    position[me] = cursor
                fi
            :: !copies ->
                atomic { assert(bytes[AT(cursor)] == cursor + 1); cursor++ };               /* a handler looks at it */
                position[me] = cursor
            fi
        :: stamp[AT(cursor)] != cursor + 1 ->
            if
            :: copies && head - cursor > CAPACITY -> resume()
            :: atomic {
                    !copies || head - cursor <= CAPACITY ->
                    assert(head - cursor <= CAPACITY);                      /* or it would wait there for ever */
                    break                                                   /* empty */
                }
            fi
        od;
        atomic { drain(me); gating[me] = false; position[me] = 0; cursor = 0; protected_from = 0; copies = false;
                 arriving = false; life[me] = RESTS }
    } unless {
        atomic { kill[me]?0 -> life[me] = DEAD; deaths++; drain(me); cursor = 0; highest = 0; at = 0; protected_from = 0;
                 copies = false; arriving = false; overtaken = false }
    }
}

/* ---- sealers ---- */

/* `all_dead`: dead = somebody intends p, and all who do are dead. */
inline look_for_intents(p) {
    atomic { dead = false; at = 0 };
    do
    :: atomic { at < WRITERS && !(intends[at] && intent[at] == p) -> at++ }
    :: atomic { at < WRITERS && intends[at] && intent[at] == p && life[at] == DEAD -> dead = true; at++ }
    :: atomic { at < WRITERS && intends[at] && intent[at] == p && life[at] != DEAD -> dead = false; break }
    :: at == WRITERS -> break
    od;
    at = 0
}

/* Once the ring has wrapped anybody's bytes may stand where the stamp was, also the observed ones. Whether it has, the
 * head tells, if it is looked at after the stamp. */
#define MAY_LOOK_THE_SAME(p) (stamp[AT(p)] == observed || head > p + CAPACITY)
#ifdef NO_LAP_LOOK
#define WRAPPED(p) false
#else
#define WRAPPED(p) (head > p + CAPACITY)
#endif

/* `settle`, where all lengths are one, and a header and its stamp are one step each; every `goto` ends it. */
inline seal(p) {
    observed = stamp[AT(p)];                                                /* settle 1 */
    if
    :: observed == p + 1 || head <= p || WRAPPED(p) -> goto done
    :: observed != p + 1 && head > p && !WRAPPED(p)
    fi;
    look_for_intents(p);                                                    /* settle 2 */
    if
    :: !dead || stamp[AT(p)] == p + 1 -> goto done                          /* settle 3 to 5 */
    :: dead && stamp[AT(p)] != p + 1
    fi;
    if :: WRAPPED(p) -> goto done :: !WRAPPED(p) fi;
    store(p);                                                               /* settle 6 */
#ifndef NO_SEALER_FENCE
    atomic { drain(me) };
#endif
    if
    :: stamp[AT(p)] != observed -> goto done
    :: MAY_LOOK_THE_SAME(p)
    fi;
    if :: WRAPPED(p) -> goto done :: !WRAPPED(p) fi;
    look_for_intents(p);
    if :: !dead -> goto done :: dead fi;
    atomic {                                                                /* settle 7: not into a later lap */
        assert(head - p <= CAPACITY);
        bytes[AT(p)] = p + 1
    };
    atomic {                                                                /* settle 8 */
        drain(me);
        assert(head - p <= CAPACITY);
        if
        :: stamp[AT(p)] == observed -> stamp[AT(p)] = p + 1
        :: else
        fi
    }
}

/* `retire_dead_at` */
inline retire(p) {
    do
    :: atomic { at < WRITERS && !(intends[at] && intent[at] == p && life[at] == DEAD) -> at++ }
    :: at < WRITERS && intends[at] && intent[at] == p && life[at] == DEAD ->
        if
        :: stamp[AT(p)] == p + 1 || head <= p || WRAPPED(p) ->
            limit[at] = 0;
            atomic { intends[at] = false; at++ }
        :: atomic { !(stamp[AT(p)] == p + 1 || head <= p || WRAPPED(p)) -> at++ }
        fi
    :: at == WRITERS -> break
    od
}

proctype sealer(byte me) {
    byte at, observed, target;
    bool dead;
    {
        do
        :: atomic {
                if
                :: intends[0] && life[0] == DEAD -> target = intent[0]      /* as `reap` does */
                :: intends[1] && life[1] == DEAD -> target = intent[1]
                :: break
                fi
            };
            seal(target);
done:
            atomic { drain(me); sealing[me] = NOWHERE; observed = 0; dead = false; at = 0 };
            retire(target);
            atomic { at = 0; target = 0 }
        od;
        life[me] = RESTS
    } unless {
        atomic { kill[me]?0 -> life[me] = DEAD; deaths++; drain(me); at = 0; observed = 0; target = 0; dead = false }
    }
}

/* ---- who else there is ---- */

#define KILL(who) kill[(deaths < DEATHS && who < PROCESSES -> who : PROCESSES)] ! 0   /* nobody listens on the last */

proctype killer() {
end:
    do
    :: KILL(0)
    :: KILL(1)
    :: KILL(2)
    :: KILL(3)
    od
}

#define DRAIN(who) atomic { buffer[who % PROCESSES] != NONE -> drain(who % PROCESSES) }

proctype processors() {                 /* store buffers drain */
end:
    do
    :: DRAIN(0)
    :: DRAIN(1)
    :: DRAIN(2)
    :: DRAIN(3)
    od
}

proctype reaper() {                     /* any handle: frees the lines of dead readers and sealers */
end:
    do
#if READERS > 0 && !defined(DEAD_READERS_GATE)
    :: atomic { life[WRITERS] == DEAD && gating[WRITERS] -> gating[WRITERS] = false }
#endif
#if SEALERS > 0
    :: atomic { life[WRITERS + READERS] == DEAD && sealing[WRITERS + READERS] != NOWHERE ->
            sealing[WRITERS + READERS] = NOWHERE }
    :: atomic { life[PROCESSES - 1] == DEAD && sealing[PROCESSES - 1] != NOWHERE -> sealing[PROCESSES - 1] = NOWHERE }
#endif
    :: false
    od
}

init {
    byte me;
    atomic {
        do
        :: me < WRITERS -> run writer(me); me++
        :: is_reader(me) -> run reader(me); me++
        :: me >= WRITERS + READERS && me < PROCESSES -> run sealer(me); me++
        :: me == PROCESSES -> break
        od;
        run killer();
        run processors();
        run reaper();
        me = 0
    };
    do
    :: atomic { me < PROCESSES && life[me] != RUNS -> me++ }
    :: me == PROCESSES -> break
    od;
    timeout;                            /* nothing is left to reap: no line holds the gate but the claims of the dead */
    d_step {
        me = 0;
        do
        :: me < PROCESSES ->
            assert(me >= WRITERS || !intends[me] || life[me] == DEAD);
            assert(!gating[me] && sealing[me] == NOWHERE);
            me++
        :: else -> break
        od
    }
}
