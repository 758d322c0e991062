from libc.stdint cimport uint8_t, uint32_t

from nanobus.records.values cimport FieldType


cdef enum Ownership:
    BLANK
    MUTABLE
    FROZEN
    BORROWED
    CLAIMED
    RELEASED


cdef class RecordLayout:
    """What all records of one class share. Immutable once the class is made; safe to use from any thread."""
    cdef RecordLayout base          # of the record class this one extends: its fields stand first, at the same offsets
    cdef readonly str title         # the class, for errors
    cdef readonly str fingerprint
    cdef readonly uint32_t size     # bytes
    cdef tuple fields               # of Field, inherited ones first
    cdef dict by_name
    cdef list shapes                # what `lay_out` places, for classes that extend this one
    cdef uint8_t *template          # a record as its defaults make it; padding is zero
    cdef bytes format               # PEP 3118


cdef class RecordType(type):
    cdef RecordLayout layout        # None for Record itself


cdef class RecordBytes:
    cdef uint8_t *address
    # The layout, not the class, says what may be read: `__class__` and `__bases__` can be assigned to.
    cdef RecordLayout layout        # None only in BLANK
    cdef Ownership ownership


cdef class Field(FieldType):
    cdef readonly uint32_t offset   # bytes
    cdef RecordType owner
    cdef RecordLayout layout        # of the owner
    cdef Py_ssize_t index


cdef RecordLayout layout_of(object record_type)         # MessageError where there is none
cdef RecordBytes blank(object record_type)              # without bytes
cdef int own(RecordBytes record, RecordLayout layout, const uint8_t *source, Ownership ownership) except -1
cdef int detach(RecordBytes record) except -1           # bytes of its own for a BORROWED one
cdef void forget(RecordBytes record, Ownership ownership) noexcept
cdef int check_size(RecordLayout layout, Py_ssize_t size) except -1     # DecodeError
cdef bytes copied_bytes(RecordBytes record)             # RecordReleasedError where there are none
