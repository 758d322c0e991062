from typing_extensions import disjoint_base

@disjoint_base
class FieldType:
    @property
    def name(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def size(self) -> int: ...
