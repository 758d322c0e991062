"""The class that users subclass."""

from __future__ import annotations

from typing import ClassVar, dataclass_transform

from nanobus.bus.codec import Codec
from nanobus.records.lending import RecordCodec
from nanobus.records.views import RecordBytes, RecordType


@dataclass_transform()
class Record(RecordBytes, metaclass=RecordType):
    """A message with the layout of a C struct, read and written where it lies: in its own bytes, or in a bus's.

    Subclass it and annotate fields, in the order of the struct; `nanobus.field_types` lists what they may be.

        class Quote(Record):
            symbol: Annotated[bytes, 8]
            bid: f64
            levels: Annotated[tuple[float, ...], Array(f64, 5)] = (0.0,) * 5

        Quote(b"ACME", bid=1.5)

    Parameters
    ----------
    *args, **kwargs
        Values of the fields, in their order or by name. A field that gets none is its default (the value in the class
        body), or zero; a type checker wants the default spelled (`ask: f64 = 0.0`) where a value may be left out.

    Raises
    ------
    TypeError, ValueError
        A value is of the wrong type, or does not fit; the error names the field. The same on assignment, which then
        changes nothing.
    AttributeError
        A field of a received record is assigned to: those are read-only, `copy.copy` gives a mutable one.
    RecordReleasedError
        A record that was claimed in place is used after its `with` block.
    MessageError
        On the class: a field has no fixed layout, or instances would hold more than fields.

    Notes
    -----
    - Layout: as a C compiler lays the struct out, little endian; `__layout__` is a tuple of
      (name, PEP 3118 format, offset, size), the last two in bytes. A class that extends another has the other's fields
      first, then its own, as one flat struct.
    - Fixed bytes: a shorter value is padded with zeros, and zeros at the end are not part of what is read back.
    - Fixed arrays: read as a tuple; set from a sequence of the very length, copied straight from a buffer of the very
      items (array.array, numpy).
    - Whose bytes: a record you make owns its bytes. A received one borrows the bus's while the handler runs, and gets a
      copy of its own when the handler returns and somebody kept it. It never shows another message's bytes.
    - Buffers: `memoryview` and numpy see one struct over the record's own bytes, writable if the record is; a received
      record is copied first. A record that is claimed in place exports none.
    - Equal are records of one class with equal bytes: NaN equals the same NaN, 0.0 is not -0.0. Records are mutable, so
      they have no hash. They can be pickled and copied; no weak references.
    - Methods and properties are fine; a `__dict__`, `__slots__` and `__del__` are not.
    - Thread safety: as of a bytearray. Concurrent reads are safe; a reader during a write may see half of it.
    """

    __layout__: ClassVar[tuple[tuple[str, str, int, int], ...]] = ()

    @classmethod
    def __record_codec__(cls, message_id: int) -> Codec:
        """Return a new codec of this class under `message_id`."""
        return RecordCodec(cls, message_id)
