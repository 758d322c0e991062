/* Park and wake: the protocol told in src/nanobus/bus/waiting.pxd, with a kill before any step of a waker.
 *
 * Memory is as on x86: what a waker publishes enters its store buffer (of one entry) and reaches the others any time
 * later, at the latest with its next swap or fence. `fence_heavy_side`, the membarrier of who parks, empties everybody's
 * buffer; `fence_light_side` does nothing at all. The kernel's futex is one step: sleep if `news` is what was seen.
 *
 *      sleeper     takes whatever is published, parks while there is nothing new
 *      waker       publishes any number of times, and looks after each whether somebody is parked
 *      killer      kills up to DEATHS wakers
 *
 * A sleep ends by a wake-up or by the time of the re-check. The latter is a step here only when nobody else has one left
 * (`timeout`): then the sleeper needs it. Without a kill nobody may need it, with kills each sleeper once for each.
 *
 * Broken on purpose, each to be caught:
 *      NO_HEAVY_FENCE          who parks empties its own store buffer alone
 *      NO_LIGHT_FENCE          a waker looks for parked ones before it publishes, as a compiler might have it
 *      NO_NEWS_COUNT           `wake` does not count `news`
 *      NO_LAST_LOOK            parking in one call: no look between saying so and sleeping
 *      SEEN_AFTER_BIT          `news` is read after the parked bit was set
 *      BITS_CLEARED_LAST       `wake` counts and wakes, then clears the bits
 *      WAKES_ONE               `wake` clears the bits of all and wakes one
 * and one that is not: with FENCED_WAKERS (`fence_after_commit`) nobody misses the heavy fence.
 */
#ifndef SLEEPERS
#define SLEEPERS 2
#endif
#ifndef WAKERS
#define WAKERS   2
#endif
#ifndef DEATHS
#define DEATHS   0
#endif

bool parked;                            /* both sleepers have the same role, so the same bit */
bool counted[SLEEPERS];                 /* `news` is not what this one has seen */
bool untaken[SLEEPERS];                 /* something is published that this one has not taken */
bool buffered[WAKERS];                  /* ... is in the store buffer yet */
bool asleep[SLEEPERS];
byte deaths;
chan kill[WAKERS + 1] = [0] of { bit };

inline drain(who) {                     /* inside atomic */
    if
    :: buffered[who] ->
        buffered[who] = false;
        which = 0;
        do
        :: which < SLEEPERS -> untaken[which] = true; which++
        :: which == SLEEPERS -> which = 0; break
        od
    :: else
    fi
}

/* ---- who waits: the loop of `CircularReader.wait`, `pause` spelled out ---- */

proctype sleeper(byte me) {
    byte rechecks, which, waker;
end:
    do
    :: untaken[me] -> untaken[me] = false
    :: !untaken[me] ->                  /* the first call of `pause` */
#ifdef SEEN_AFTER_BIT
        parked = true;
        counted[me] = false;
#else
        counted[me] = false;            /* seen = news */
        parked = true;
#endif
#ifndef NO_HEAVY_FENCE
        do
        :: atomic { waker < WAKERS -> drain(waker); waker++ }
        :: atomic { waker == WAKERS -> waker = 0; break }
        od;
#endif
        if
#ifndef NO_LAST_LOOK
        :: untaken[me]
        :: !untaken[me] ->
#else
        :: true ->
#endif
            asleep[me] = !counted[me];  /* the second call */
end_asleep:
            if
            :: !asleep[me]
            :: atomic {
                    timeout && untaken[me] ->
                    rechecks++;
                    assert(rechecks <= deaths);
                    asleep[me] = false
                }
            fi
        fi
    od
}

/* ---- who brings news: `SlotWriter.commit` and `wake` ---- */

inline publish() {
    atomic { drain(me); buffered[me] = true };
#ifdef FENCED_WAKERS
    atomic { drain(me) }
#endif
}

#ifdef NO_NEWS_COUNT
#define COUNTED 0
#else
#define COUNTED SLEEPERS
#endif

inline wake() {
#ifdef BITS_CLEARED_LAST
    some = true;
#else
    atomic { drain(me); some = parked; parked = false };
#endif
    if
    :: atomic {
            some ->
            drain(me);
            do
#ifndef NO_NEWS_COUNT
            :: which < SLEEPERS -> counted[which] = true; which++
#endif
            :: which == COUNTED -> which = 0; break
            od
        };
        atomic {
            do
            :: which == SLEEPERS -> break
#ifdef WAKES_ONE
            :: which < SLEEPERS && asleep[which] -> asleep[which] = false; break
            :: which < SLEEPERS && !asleep[which] -> which++
#else
            :: which < SLEEPERS -> asleep[which] = false; which++
#endif
            od;
            which = 0
        }
    :: !some
    fi;
#ifdef BITS_CLEARED_LAST
    atomic { drain(me); parked = false };
#endif
    some = false
}

proctype waker(byte me) {
    byte which;
    bool some;
    {
        do
        :: true ->
#ifdef NO_LIGHT_FENCE
            some = parked;
            publish();
            if :: some -> wake() :: else fi
#else
            publish();
            if :: parked -> wake() :: !parked fi
#endif
        :: break
        od
    } unless { atomic { kill[me]?0 -> deaths++; which = 0; some = false } }
}

/* ---- who else there is ---- */

#define KILL(who) kill[(deaths < DEATHS && who < WAKERS -> who : WAKERS)] ! 0       /* nobody listens on the last */

proctype killer() {
end:
    do
    :: KILL(0)
    :: KILL(1)
    od
}

proctype processors() {                 /* store buffers drain */
    byte which;
end:
    do
    :: atomic { buffered[0] -> drain(0) }
#if WAKERS > 1
    :: atomic { buffered[1] -> drain(1) }
#endif
    od
}

init {
    byte me;
    atomic {
        do
        :: me < SLEEPERS -> run sleeper(me); me++
        :: else -> break
        od;
        me = 0;
        do
        :: me < WAKERS -> run waker(me); me++
        :: else -> break
        od;
        run processors();
        run killer()
    }
}
