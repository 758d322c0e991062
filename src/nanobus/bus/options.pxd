from libc.stdint cimport uint32_t

cdef dict WAIT_FLAGS

# Arguments that every bus takes: the flag of a choice, the number of lines; ValueError names rule and value.
cdef uint32_t checked_choice(str name, object value, dict choices) except? 0xFFFFFFFF
cdef uint32_t checked_lines(str name, object value) except 0
