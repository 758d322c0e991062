"""Layer 0: facts without state, all of them C inline functions and structs in `.pxd` files.

layout     the slot: 32-byte header + payload, stamps, causes
atomics    every memory order of the library is spelled here and nowhere else
branches   which way a branch goes nearly always
clock      wall-clock and monotonic nanoseconds
copying    copying bytes that somebody may be overwriting meanwhile
crc32c     the checksum of a slot, by instruction where the processor has one
mutex      a lock for some lines of C, which gives no GIL away
owner      who holds a line of a control block, and whether that process still lives
parking    sleeping until another thread or process says there is news
steps      dying on purpose at any step, in a build for the kill sweep

Imports nothing of nanobus.
"""
