from typing import final

from nanobus.bus.base import BusReader

@final
class JournalReader(BusReader): ...
