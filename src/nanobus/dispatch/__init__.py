"""Layer 3: from slots to handler methods and back, compiled.

division     Division: whose shard a message is
permits      Permit: what native functions may send, and `send`, which they call
native       NativeCall: a receiver that is a C function; NativeService: the compiled half of one with C state
batches      Batch: consecutive messages of one kind, for one method
router       Router: the frozen vtable, (source, message) -> entries of (function pointer, object)
outbox       Outbox: what a worker could not send yet, in order
recording    Recording: takes what handlers send while they run on what is recorded
outlet       Outlet: what the handlers of one worker send through
service      Service: the compiled half of a handler; Voice: what one sends with
timer        Timer: what an `@every` becomes
free_loop    FreeLoop: skip, call native receivers, wait, all without the GIL
worker_loop  WorkerLoop: read, decode once, call, flush, tick; a FreeLoop
playback     Playback: finds the slots somebody wants, up to an end
replay_loop  ReplayLoop: hands recorded slots to the loops of several workers
effects      Effects: finds what handlers sent because of messages
comparison   Comparison: the Recording that compares
known_sends  KnownSends: the Recording that lets a resumed worker send nothing twice

May import: bus, memory, core, errors.
"""
