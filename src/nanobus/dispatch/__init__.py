"""Layer 3: from slots to handler methods and back, compiled.

router       Router: the frozen vtable, (source, message) -> entries of (function pointer, object)
outbox       Outbox: what a worker could not send yet, in order
outlet       Outlet: what the handlers of one worker send through; Service: the compiled half of a handler
worker_loop  WorkerLoop: read, skip, decode once, call, flush, tick, wait

May import: bus, memory, core, errors.
"""
