"""Layer 4: what a journal says about the meaning of its message ids: the file `schema.json` in its folder.

    classes at hand --(layouts)--> Schema <--(file)--> schema.json
                                     |
                 compare, upcast: the classes of today read the layouts of then
                 Decoder:         what there is to see without any class

entries      Schema: which id meant which layout from which position on
file         load, save, update: atomic, and no entry is lost when two processes update at once
parsing      from text to a Schema that keeps every rule, or a SchemaError
layouts      the JSON description of a codec's layout
packed       numbers at offsets: Records, ctypes, numpy
msgpack      what msgpack leaves out: the names of the fields in arrays
descriptors  protobuf: the descriptors of the files a class came from
values       from a description to the function that reads payloads
comparison   the difference of two layouts, field by field
upcasts      @upcast: which function makes a message of today from which old layout
history      the layouts of one message along the journal, all read as the class of today
upcasting    UpcastingCodec: asks the history for what stands before the newest layout     compiled
decoding     Decoder: payloads as JSON-able values, without the application's code

No library is imported here unless a layout says that it wrote the payloads.

May import: bus.codec, bus.base, records, codecs, errors.
"""

from nanobus.schema.comparison import compare
from nanobus.schema.decoding import Decoder
from nanobus.schema.entries import MessageEntry, Schema, SourceEntry
from nanobus.schema.file import load, save, update
from nanobus.schema.history import Reading, Translation, upcasting_codec
from nanobus.schema.upcasts import upcast

__all__ = [
    "Decoder",
    "MessageEntry",
    "Reading",
    "Schema",
    "SourceEntry",
    "Translation",
    "compare",
    "load",
    "save",
    "upcast",
    "upcasting_codec",
    "update",
]
