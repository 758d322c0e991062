from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef union Number:
    # Little endian: the low bytes of a member are the member of that size.
    uint8_t u8
    uint16_t u16
    uint32_t u32
    uint64_t u64
    int8_t i8
    int16_t i16
    int32_t i32
    int64_t i64
    float f32
    double f64


cdef class FieldType:
    """What stands in a field, wherever the field is. Immutable once its class is made."""
    cdef readonly str name
    cdef readonly str format        # PEP 3118
    cdef readonly uint32_t size     # bytes
    cdef str title                  # "Quote.bid", for errors
    cdef str type_name              # "f64", "bytes[8]", "f64[5]"
    cdef uint32_t item_size         # bytes
    cdef uint32_t length            # items of an array, bytes of fixed bytes; 0 for one number
    cdef char code                  # PEP 3118 character of an item, "s" for fixed bytes


# Value -> `field.size` zeroed bytes at `target`, all of them or an error that names the field. Runs Python code.
cdef int convert(FieldType field, object value, uint8_t *target) except -1


cdef inline void copy_number(void *target, const void *source, uint32_t size) noexcept nogil:
    # memcpy of a constant size is one instruction, at any alignment
    if size == 8:
        memcpy(target, source, 8)
    elif size == 4:
        memcpy(target, source, 4)
    elif size == 2:
        memcpy(target, source, 2)
    else:
        memcpy(target, source, 1)


cdef inline object number_of(char code, const Number *number):
    # Runs no Python code: neither an int, a float nor a bool can start the garbage collector.
    if code == c'd':
        return number.f64
    if code == c'q':
        return number.i64
    if code == c'i':
        return number.i32
    if code == c'h':
        return number.i16
    if code == c'b':
        return number.i8
    if code == c'Q':
        return number.u64
    if code == c'I':
        return number.u32
    if code == c'H':
        return number.u16
    if code == c'B':
        return number.u8
    if code == c'f':
        return <double> number.f32
    return number.u8 != 0
