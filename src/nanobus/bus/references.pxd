"""Weak references in a tuple that is replaced, under a lock, and never changed.

No WeakSet: that is changed by whichever thread drops an object, also while another one looks through it.
"""
from cpython.weakref cimport PyWeakref_NewRef


# To what is still there, and to `one`.
cdef inline tuple referring_to(tuple references, object one):
    return (*[kept for kept in references if kept() is not None and kept() is not one], PyWeakref_NewRef(one, None))


cdef inline list still_alive(tuple references):
    return [one for one in [reference() for reference in references] if one is not None]
