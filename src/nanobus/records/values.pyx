"""Python values <-> the bytes of one field: the only place that knows what each field type is.

A number is moved by copies of constant size, at any alignment. Everything is checked before the first byte of a record
changes: callers convert into memory of their own and copy the result.
"""
cimport cython
from cpython.buffer cimport (
    PyBUF_CONTIG_RO, PyBUF_FORMAT, PyBUF_SIMPLE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer,
)
from cpython.sequence cimport PySequence_Check
from libc.math cimport isinf
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, strchr

cdef extern from "Python.h":
    object PyNumber_Index(object value)
    double PyFloat_AsDouble(object value) except? -1.0
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object value) except? 0xFFFFFFFFFFFFFFFF


@cython.auto_pickle(False)
cdef class FieldType:
    pass


cdef int convert(FieldType field, object value, uint8_t *target) except -1:
    cdef Number number
    if field.code == c's':
        return convert_bytes(field, value, target)
    if field.length != 0:
        return convert_array(field, value, target)
    convert_number(field, value, &number)
    copy_number(target, &number, field.item_size)
    return 0


cdef int convert_number(FieldType field, object value, Number *number) except -1:
    """Value -> number, or an error that names the field. Runs the value's own `__index__` or `__float__`."""
    if field.code == c'd' or field.code == c'f':
        return convert_float(field, value, number)
    if field.code == c'?':
        if value is not True and value is not False and not (isinstance(value, int) and 0 <= value <= 1):
            raise TypeError(f"{field.title} must be True or False, got {value!r}")
        number.u64 = <bint> value
        return 0
    return convert_integer(field, value, number)


cdef int convert_float(FieldType field, object value, Number *number) except -1:
    cdef double converted
    try:
        converted = PyFloat_AsDouble(value)
    except TypeError:
        raise TypeError(f"{field.title} must be a number ({field.type_name}), got {value!r}") from None
    except OverflowError:
        raise ValueError(f"{field.title} must fit {field.type_name}, got {value!r}") from None
    if field.code == c'd':
        number.f64 = converted
        return 0
    number.f32 = <float> converted
    if isinf(number.f32) and not isinf(converted):
        raise ValueError(f"{field.title} must fit {field.type_name}, got {value!r}")
    return 0


cdef int convert_integer(FieldType field, object value, Number *number) except -1:
    cdef int overflow = 0
    cdef int bits = 8 * field.item_size
    cdef int64_t converted
    if not isinstance(value, int):
        try:
            value = PyNumber_Index(value)
        except TypeError:
            raise TypeError(f"{field.title} must be an int ({field.type_name}), got {value!r}") from None
    converted = PyLong_AsLongLongAndOverflow(value, &overflow)
    number.i64 = converted
    if field.code >= c'a':          # lower case: signed
        if overflow == 0 and (bits == 64 or converted >> (bits - 1) == converted >> 63):
            return 0
        return raise_out_of_range(field, value, True)
    if overflow == 0 and converted >= 0 and (bits == 64 or converted >> bits == 0):
        return 0
    if overflow > 0 and bits == 64:
        try:
            number.u64 = PyLong_AsUnsignedLongLong(value)
            return 0
        except OverflowError:
            pass
    return raise_out_of_range(field, value, False)


cdef int raise_out_of_range(FieldType field, object value, bint is_signed) except -1:
    count = 256 ** <object> field.item_size
    lowest = -count // 2 if is_signed else 0
    raise ValueError(f"{field.title} must be in {lowest}..{lowest + count - 1}, got {value!r}")


cdef int convert_bytes(FieldType field, object value, uint8_t *target) except -1:
    cdef Py_buffer source
    if not PyObject_CheckBuffer(value):
        raise TypeError(f"{field.title} must be bytes, got {type(value).__qualname__}")
    PyObject_GetBuffer(value, &source, PyBUF_SIMPLE)
    try:
        if source.len > field.length:
            raise ValueError(f"{field.title} must have at most {field.length} bytes, got {source.len}")
        memcpy(target, source.buf, source.len)
    finally:
        PyBuffer_Release(&source)
    return 0


cdef int convert_array(FieldType field, object value, uint8_t *target) except -1:
    cdef Number number
    cdef Py_ssize_t i
    if PyObject_CheckBuffer(value) and copy_array(field, value, target):
        return 0
    if not PySequence_Check(value) or isinstance(value, str):
        raise TypeError(f"{field.title} must be a sequence of {field.length} numbers, got {type(value).__qualname__}")
    items = tuple(value)
    if len(items) != field.length:
        raise ValueError(f"{field.title} must have {field.length} items, got {len(items)}")
    for i in range(field.length):
        convert_number(field, items[i], &number)
        copy_number(target + i * field.item_size, &number, field.item_size)
    return 0


cdef bint copy_array(FieldType field, object value, uint8_t *target) except -1:
    """Copy a buffer of the very items of this field; False where it is one of anything else."""
    cdef Py_buffer source
    try:
        PyObject_GetBuffer(value, &source, PyBUF_CONTIG_RO | PyBUF_FORMAT)
    except BufferError:             # not contiguous: item by item then
        return False
    try:
        if source.ndim != 1 or source.itemsize != field.item_size or not same_items(field.code, source.format):
            return False
        if source.shape[0] != field.length:
            raise ValueError(f"{field.title} must have {field.length} items, got {source.shape[0]}")
        memcpy(target, source.buf, field.size)
        return True
    finally:
        PyBuffer_Release(&source)


cdef bint same_items(char code, const char *format) noexcept:
    """Whether a native or little-endian `format` means the same as `code`, the sizes being equal already."""
    cdef const char *family
    if format == NULL:
        return code == c'B'
    if format[0] == c'@' or format[0] == c'=' or format[0] == c'<':
        format += 1
    if format[0] == 0 or format[1] != 0:
        return False
    if code == c'd' or code == c'f' or code == c'?':
        return format[0] == code
    family = b"bhilqn" if code >= c'a' else b"BHILQN"
    return strchr(family, format[0]) != NULL
