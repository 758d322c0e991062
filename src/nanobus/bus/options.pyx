"""Checking what buses are made with."""
from libc.stdint cimport uint32_t

from nanobus.bus.control cimport MAX_LINES, WAIT_SPIN, WAIT_YIELD

cdef dict WAIT_FLAGS = {"block": 0, "spin": WAIT_SPIN, "yield": WAIT_YIELD}


cdef uint32_t checked_choice(str name, object value, dict choices) except? 0xFFFFFFFF:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return choices[value]


cdef uint32_t checked_lines(str name, object value) except 0:
    if not isinstance(value, int) or not 1 <= value <= MAX_LINES:
        raise ValueError(f"{name} must be in 1..{MAX_LINES}, got {value!r}")
    return value
