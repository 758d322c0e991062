from nanobus.bus.claims cimport Claims

# The fields of BusStatistics that every control block has, as keyword arguments.
cdef dict count(Claims *claims)
