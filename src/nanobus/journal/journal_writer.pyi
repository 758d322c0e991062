from typing import final

from nanobus.bus.slot_writer import SlotWriter

@final
class JournalWriter(SlotWriter): ...
