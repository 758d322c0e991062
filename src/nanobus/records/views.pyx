"""The record as an object: an address, whose bytes stand there, and compiled descriptors that read and write them.

Whose bytes stand at the address of a record
    BLANK      none yet                                   MUTABLE after __init__
    MUTABLE    its own, made by the user                  for ever
    FROZEN     its own, copied from a bus; read-only      for ever
    BORROWED   a bus's, read-only                         FROZEN, or lent again, after Codec.settle
    CLAIMED    a bus's, writable                          RELEASED after Codec.close_in_place
    RELEASED   none any more                              for ever

The address is NULL in BLANK and RELEASED. Once a record owns its bytes they stay where they are; only such a record
exports a buffer. Each look at the address stands in a critical section: with a GIL that costs nothing, without one it
keeps `settle` from moving the bytes under a reader on another thread.
"""
cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_WRITABLE
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItemWithError
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from nanobus.records.values cimport FieldType, Number, convert, copy_number, number_of

from nanobus.errors import DecodeError, MessageError, RecordReleasedError
from nanobus.records.layout import lay_out, own_fields

cdef extern from "Python.h":
    bint PyObject_IS_GC(PyObject *item)
    void PyObject_GC_UnTrack(void *item)
    Py_ssize_t PyVectorcall_NARGS(size_t flagged_count)
    ctypedef object (*VectorCall "vectorcallfunc")(object, PyObject *const *, size_t, PyObject *)
    ctypedef object (*Call "ternaryfunc")(object, object, object)
    ctypedef struct TypeSlots "PyTypeObject":
        void *tp_new
        void *tp_init
        Call tp_call
        VectorCall tp_vectorcall

cdef enum:
    STACK_SIZE = 128        # bytes; a larger value is converted in memory of the heap

READ_ONLY = "received records are read-only, copy.copy(record) gives a mutable one"


@cython.final
@cython.auto_pickle(False)
cdef class RecordLayout:
    def __dealloc__(self):
        PyMem_Free(self.template)


cdef bint extends(RecordLayout layout, RecordLayout wanted) noexcept:
    while layout is not None:
        if layout is wanted:
            return True
        layout = layout.base
    return False


@cython.no_gc
@cython.auto_pickle(False)
cdef class RecordBytes:
    """What `Record` adds a name and field annotations to."""
    # No subclass can have a `__dict__`, slots or weak references (RecordType sees to it). Weak references must stay
    # impossible: a codec lends one view again and again once nobody refers to it, and a weak reference would be a way
    # to it that its reference count does not show.

    def __cinit__(self):
        # Refers to its layout and class only, which do not refer back: nothing for the garbage collector to look at,
        # although Python gives every class made by `class` a place in its lists.
        if PyObject_IS_GC(<PyObject *> self):
            PyObject_GC_UnTrack(<void *> self)

    def __init__(self, *args, **kwargs):
        cdef RecordLayout layout = layout_of(type(self))
        with cython.critical_section(self):
            if self.ownership != BLANK:
                raise TypeError(f"{layout.title} is initialised already")
            own(self, layout, layout.template, MUTABLE)
        for i, value in enumerate(args):
            store(field_at(layout, i), self, value)
        for name, value in kwargs.items():
            store(field_named(layout, name, len(args)), self, value)

    def __dealloc__(self):
        if self.ownership == MUTABLE or self.ownership == FROZEN:
            PyMem_Free(self.address)

    def __repr__(self):
        if self.address == NULL:
            return f"<{type(self).__qualname__} without bytes>"
        fields = ", ".join([f"{(<Field> field).name}={load(<Field> field, self)!r}" for field in self.layout.fields])
        return f"{type(self).__qualname__}({fields})"

    def __eq__(self, other):
        cdef RecordBytes second
        cdef bint equal = False
        if type(self) is not type(other):
            return NotImplemented
        second = <RecordBytes> other
        with cython.critical_section(self, second):
            check_readable(self)
            check_readable(second)
            if self.layout is second.layout:
                equal = memcmp(self.address, second.address, self.layout.size) == 0
        return equal

    def __bytes__(self):
        return copied_bytes(self)

    def __copy__(self):
        cdef RecordBytes copy = blank(type(self))
        with cython.critical_section(self):
            check_readable(self)
            own(copy, self.layout, self.address, MUTABLE)
        return copy

    def __deepcopy__(self, memo):
        return self.__copy__()

    def __reduce__(self):
        return restore_record, (type(self), copied_bytes(self), self.layout.fingerprint)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        with cython.critical_section(self):
            check_readable(self)
            if self.ownership == CLAIMED:
                raise BufferError(f"{self.layout.title} is claimed in place: assign to its fields")
            detach(self)            # the exported bytes must stay when the bus takes its own back
        if self.ownership == FROZEN and flags & PyBUF_WRITABLE:
            raise BufferError(f"{self.layout.title}: {READ_ONLY}")
        buffer.buf = self.address
        buffer.obj = self
        buffer.len = buffer.itemsize = self.layout.size
        buffer.readonly = self.ownership == FROZEN
        buffer.format = <char *> self.layout.format if flags & PyBUF_FORMAT else NULL
        buffer.ndim = 0             # one struct, as ctypes exports it
        buffer.shape = buffer.strides = buffer.suboffsets = NULL
        buffer.internal = NULL


cdef RecordBytes blank(object record_type):
    # Not record_type.tp_new: the `__new__` of a subclass is for its users, not for a bus that lends bytes.
    return <RecordBytes> (<PyTypeObject *> RecordBytes).tp_new(<type> record_type, <PyObject *> (), NULL)


cdef object construct(object record_type, PyObject *const *values, size_t flagged_count, PyObject *names):
    """What calling a record class does: `__new__` and `__init__` in one, without a tuple and a dict for the values."""
    cdef TypeSlots *slots = <TypeSlots *> record_type
    cdef Py_ssize_t i, count = PyVectorcall_NARGS(flagged_count)
    cdef RecordLayout layout
    cdef RecordBytes record
    if slots.tp_new != (<TypeSlots *> RecordBytes).tp_new or slots.tp_init != (<TypeSlots *> RecordBytes).tp_init:
        return construct_by_methods(record_type, values, count, names)
    layout = layout_of(record_type)
    record = blank(record_type)
    own(record, layout, layout.template, MUTABLE)
    for i in range(count):
        store(field_at(layout, i), record, <object> values[i])
    if names != NULL:
        for i in range(len(<tuple> names)):
            store(field_named(layout, (<tuple> names)[i], count), record, <object> values[count + i])
    return record


cdef object construct_by_methods(object record_type, PyObject *const *values, Py_ssize_t count, PyObject *names):
    cdef dict named = {}
    cdef tuple positional = tuple([<object> values[i] for i in range(count)])
    if names != NULL:
        named = {name: <object> values[count + i] for i, name in enumerate(<tuple> names)}
    return (<TypeSlots *> type).tp_call(record_type, positional, named)


cdef Field field_at(RecordLayout layout, Py_ssize_t index):
    if index < len(layout.fields):
        return <Field> layout.fields[index]
    raise TypeError(f"{layout.title} has {len(layout.fields)} fields, got more values")


cdef Field field_named(RecordLayout layout, object name, Py_ssize_t positional):
    cdef PyObject *found = PyDict_GetItemWithError(layout.by_name, name)
    if found == NULL:
        raise TypeError(f"{layout.title} has no field {name!r}; it has {', '.join(layout.by_name)}")
    if (<Field> found).index < positional:
        raise TypeError(f"{(<Field> found).title} is given twice")
    return <Field> found


cdef int own(RecordBytes record, RecordLayout layout, const uint8_t *source, Ownership ownership) except -1:
    """Give `record` a copy of the bytes at `source`. A record that cannot get it has none at all."""
    cdef uint8_t *copy = <uint8_t *> PyMem_Malloc(layout.size)
    if copy == NULL:
        record.address = NULL
        record.ownership = RELEASED
        raise MemoryError(f"no memory for {layout.size} bytes of {layout.title}")
    memcpy(copy, source, layout.size)
    record.layout = layout
    record.address = copy
    record.ownership = ownership
    return 0


cdef int detach(RecordBytes record) except -1:
    if record.ownership == BORROWED:
        own(record, record.layout, record.address, FROZEN)
    return 0


cdef void forget(RecordBytes record, Ownership ownership) noexcept:
    if record.ownership == MUTABLE or record.ownership == FROZEN:
        PyMem_Free(record.address)
    record.address = NULL
    record.ownership = ownership


cdef inline int check_readable(RecordBytes record) except -1:
    return 0 if record.address != NULL else raise_unreadable(record)


cdef int raise_unreadable(RecordBytes record) except -1:
    name = type(record).__qualname__
    if record.ownership == BLANK:
        raise RecordReleasedError(f"{name} has no bytes: its __init__ did not run")
    raise RecordReleasedError(f"{name} was claimed in place and its claim has ended: its bytes belong to the bus now")


cdef int check_size(RecordLayout layout, Py_ssize_t size) except -1:
    if size == layout.size:
        return 0
    raise DecodeError(f"a payload of {layout.title} must have {layout.size} bytes, got {size}")


cdef bytes copied_bytes(RecordBytes record):
    with cython.critical_section(record):
        check_readable(record)
        return PyBytes_FromStringAndSize(<const char *> record.address, record.layout.size)


def restore_record(record_type, payload, fingerprint):
    """Rebuild a pickled record: a mutable one that owns its bytes.

    Raises
    ------
    DecodeError
        `record_type` is no record class, its layout has changed since, or the payload has another size.
    """
    cdef RecordBytes record
    cdef RecordLayout layout
    if not isinstance(record_type, RecordType) or (<RecordType> record_type).layout is None:
        raise DecodeError(f"a pickled record must be of a Record class, got {record_type!r}")
    layout = (<RecordType> record_type).layout
    if fingerprint != layout.fingerprint:
        raise DecodeError(f"the layout of {layout.title} is {layout.fingerprint}, the pickled one is {fingerprint!r}")
    if not isinstance(payload, bytes):
        raise DecodeError(f"a pickled {layout.title} must be bytes, got {type(payload).__qualname__}")
    check_size(layout, len(<bytes> payload))
    record = blank(record_type)
    own(record, layout, <const uint8_t *> <const char *> <bytes> payload, MUTABLE)
    return record


@cython.final
@cython.auto_pickle(False)
cdef class Field(FieldType):
    """One field of a record class, as `Quote.bid` gives it. Immutable, safe to use from any thread."""

    def __get__(self, instance, owner):
        if instance is None:
            return self
        check_instance(self, instance)
        return load(self, <RecordBytes> instance)

    def __set__(self, instance, value):
        check_instance(self, instance)
        store(self, <RecordBytes> instance, value)

    def __delete__(self, instance):
        raise AttributeError(f"{self.title} cannot be deleted: a record has all of its fields")

    def __repr__(self):
        return f"<field {self.title}: {self.type_name} at {self.offset}>"


cdef inline int check_instance(Field field, object instance) except -1:
    # An instance of the owner is a RecordBytes; asking the general question costs a walk along its bases.
    if type(instance) is field.owner or isinstance(instance, RecordBytes):
        if (<RecordBytes> instance).layout is field.layout or extends((<RecordBytes> instance).layout, field.layout):
            return 0
        check_readable(<RecordBytes> instance)      # says more of a record that never had bytes
    raise TypeError(f"{field.title} is no field of {type(instance).__qualname__}")


cdef inline object load(Field field, RecordBytes record):
    cdef Number number
    if field.length != 0:
        return load_array(field, record)
    with cython.critical_section(record):
        check_readable(record)
        copy_number(&number, record.address + field.offset, field.item_size)
    return number_of(field.code, &number)


cdef object load_array(Field field, RecordBytes record):
    cdef Number number
    cdef const uint8_t *item
    cdef Py_ssize_t i, length = field.length
    cdef tuple items = None
    if field.code != c's':
        items = PyTuple_New(length)     # may collect garbage, so run any code: look at the address after it
    with cython.critical_section(record):
        check_readable(record)
        item = record.address + field.offset
        if items is None:
            while length > 0 and item[length - 1] == 0:
                length -= 1
            return PyBytes_FromStringAndSize(<const char *> item, length)
        for i in range(length):
            copy_number(&number, item, field.item_size)
            value = number_of(field.code, &number)
            Py_INCREF(value)            # PyTuple_SET_ITEM steals it
            PyTuple_SET_ITEM(items, i, value)
            item += field.item_size
    return items


cdef int store(Field field, RecordBytes record, object value) except -1:
    # Converting runs Python code, which may fail half-way or end the claim of this very record: convert first, aside.
    cdef uint8_t on_stack[STACK_SIZE]
    cdef uint8_t *converted = on_stack
    if field.size > STACK_SIZE:
        converted = <uint8_t *> PyMem_Calloc(1, field.size)
        if converted == NULL:
            raise MemoryError(f"no memory for {field.size} bytes of {field.title}")
    elif field.length != 0:
        memset(converted, 0, field.size)
    try:
        convert(field, value, converted)
        with cython.critical_section(record):
            if record.ownership != MUTABLE and record.ownership != CLAIMED:
                check_readable(record)
                raise AttributeError(f"{field.title}: {READ_ONLY}")
            if field.length == 0:
                copy_number(record.address + field.offset, converted, field.item_size)
            else:
                memcpy(record.address + field.offset, converted, field.size)
    finally:
        if converted != on_stack:
            PyMem_Free(converted)
    return 0


@cython.auto_pickle(False)
cdef class RecordType(type):
    """The class of record classes: lays out the annotated fields and makes their descriptors."""

    @classmethod
    def __prepare__(cls, name, bases, **keywords):
        return {"__slots__": ()}

    def __init__(cls, name, bases, namespace, **keywords):
        type.__init__(cls, name, bases, namespace)
        if cls.layout is not None:
            raise TypeError(f"{cls.__qualname__} is initialised already")
        if not issubclass(cls, RecordBytes):       # descriptors take its instances for such
            raise MessageError(f"{cls.__qualname__} must extend Record to be of {type(cls).__qualname__}")
        record_bases = [base for base in bases if isinstance(base, RecordType)]
        if len(record_bases) > 1:
            raise MessageError(f"{cls.__qualname__} must extend one record class, got {record_bases!r}")
        if record_bases:
            check_instances_hold_bytes_only(cls)
            cls.layout = new_layout(cls, (<RecordType> record_bases[0]).layout)
            (<TypeSlots *> cls).tp_vectorcall = construct


cdef int check_instances_hold_bytes_only(RecordType record_type) except -1:
    name = record_type.__qualname__
    grown = record_type.__basicsize__ != RecordBytes.__basicsize__
    if grown or record_type.__dictoffset__ or record_type.__weakrefoffset__:
        raise MessageError(
            f"instances of {name} would have a __dict__, __slots__ or weak references: the fields of a Record are all "
            "it holds, so declare no __slots__, give mixins `__slots__ = ()`, use `class` or types.new_class"
        )
    if hasattr(record_type, "__del__"):
        raise MessageError(f"{name} must not define __del__: one object shows many messages, it does not end with each")
    return 0


cdef RecordLayout new_layout(RecordType record_type, RecordLayout base):
    cdef RecordLayout layout = RecordLayout.__new__(RecordLayout)
    cdef dict namespace = dict(record_type.__dict__)
    cdef Field field
    layout.title = record_type.__qualname__
    layout.base = base
    layout.shapes = own_fields(record_type)
    if base is not None:
        declared = {shape.name for shape in layout.shapes}
        for name in base.by_name:
            if name in namespace or name in declared:
                raise MessageError(f"{layout.title}.{name} is a field of {base.title} already")
        layout.shapes = base.shapes + layout.shapes
    struct = lay_out(layout.title, layout.shapes)
    layout.size = struct.size
    layout.format = struct.format.encode()
    layout.fingerprint = struct.fingerprint
    layout.template = <uint8_t *> PyMem_Calloc(1, layout.size)
    if layout.template == NULL:
        raise MemoryError(f"no memory for {layout.size} bytes of {layout.title}")
    fields = []
    if base is not None:
        memcpy(layout.template, base.template, base.size)
        fields += base.fields
    for shape, offset in zip(struct.fields[len(fields):], struct.offsets[len(fields):]):
        field = new_field(record_type, layout, len(fields), shape, offset)
        fields.append(field)
        if field.name in namespace:
            convert_default(field, namespace[field.name], layout.template + field.offset)
        setattr(record_type, field.name, field)
    layout.fields = tuple(fields)
    layout.by_name = {field.name: field for field in fields}
    record_type.__layout__ = tuple([
        (shape.name, shape.format, offset, shape.size) for shape, offset in zip(struct.fields, struct.offsets)
    ])
    if "__match_args__" not in namespace:
        record_type.__match_args__ = tuple(layout.by_name)
    return layout


cdef Field new_field(RecordType record_type, RecordLayout layout, Py_ssize_t index, shape, uint32_t offset):
    cdef Field field = Field.__new__(Field)
    field.owner = record_type
    field.layout = layout
    field.index = index
    field.name = shape.name
    field.title = f"{layout.title}.{shape.name}"
    field.type_name = shape.type_name
    field.format = shape.format
    field.offset = offset
    field.size = shape.size
    field.item_size = shape.item_size
    field.length = shape.length
    field.code = ord(shape.code)
    return field


cdef int convert_default(Field field, object value, uint8_t *target) except -1:
    try:
        return convert(field, value, target)
    except (TypeError, ValueError) as error:
        raise MessageError(f"the default of {error}") from error


cdef RecordLayout layout_of(object record_type):
    if isinstance(record_type, RecordType) and (<RecordType> record_type).layout is not None:
        return (<RecordType> record_type).layout
    raise MessageError(f"{record_type!r} has no fields: subclass Record and annotate them")
