from typing import final

from nanobus.bus.codec import Codec

@final
class RecordCodec(Codec):
    def __init__(self, record_type: type, message_id: int) -> None: ...
