"""Record, the zero-copy message: a C struct that is read and written where it lies.

    Quote.bid ---- Field ------> 8 bytes at address + offset
    quote -------- RecordBytes -> address --> its own bytes, or those of a slot on a bus
    Quote -------- RecordType --> RecordLayout: fields, size, default bytes

values     Python values <-> the bytes of one field
layout     from annotations to the layout a C compiler would give the struct
views      the record as an object: whose bytes, when they end, the descriptors of the fields
lending    RecordCodec: how a bus lends, takes back and claims records
record     Record, which users subclass

May import: bus.codec, field_types, errors.
"""

from nanobus.records.lending import RecordCodec
from nanobus.records.record import Record
from nanobus.records.views import RecordType, restore_record

__all__ = ["Record", "RecordCodec", "RecordType", "restore_record"]
