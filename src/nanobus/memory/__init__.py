"""Layer 1: memory from the operating system, owned by one object each, unmapped when the last reference is gone.

mapping    Mapping, the common base, and AnonymousMapping
growable   GrowingMapping: grows in place or moves (`mremap`), never under a view; GrowableMapping, private memory
file       FileMapping: a file that grows, its blocks allocated ahead
ring       RingMapping: a control block, then a ring mapped twice back to back, so that nothing is ever split
platform   the system calls, chosen at compile time
sights     where nogil code has a file mapped: anew for each handle, but for a ThreadSanitizer build

May import: core, errors.
"""
