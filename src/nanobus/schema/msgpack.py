"""What msgpack leaves out: which array is an object, and the names of its fields.

A payload of msgspec decodes to lists and dicts without any class. The description says which of them are objects:

    {"objects": [{"name": "Quote", "array": false, "tag": null, "fields": [[wire name, name, node], ...]}, ...]}

    node    null                     a plain value
            {"object": 3}            the object described at that place of the list, which may contain itself
            {"items": node}          a list or set of these
            {"values": node}         a dict with these as values
            {"tuple": [node, ...]}   one each
            {"union": [node, ...]}   one of these; objects are told apart by their tags, as msgspec does
    tag     null or [field, value]: the first item of an array, or that key of a map

The first object is the message itself.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from nanobus.schema.packed import check_names_differ

Node = dict[str, Any] | None


def objects_of(cls: type) -> list[dict[str, Any]]:
    """Describe `cls` and every class inside of it."""
    from msgspec.inspect import type_info

    return Inspection().describe(type_info(cls))


class Inspection:
    """One walk over the types of msgspec.inspect, in which a class that contains itself comes back as one object."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.places: dict[int, int] = {}

    def describe(self, kind: Any) -> list[dict[str, Any]]:
        self.node_of(kind)
        return self.objects

    def node_of(self, kind: Any) -> Node:
        if hasattr(kind, "fields"):  # a struct, dataclass, attrs class, named tuple or typed dict
            return {"object": self.place_of(kind)}
        if hasattr(kind, "item_types"):
            return {"tuple": [self.node_of(item) for item in kind.item_types]}
        for name, attribute in (("items", "item_type"), ("values", "value_type")):
            if hasattr(kind, attribute):
                inside = self.node_of(getattr(kind, attribute))
                return None if inside is None else {name: inside}
        if hasattr(kind, "types"):
            nodes = [node for member in kind.types if (node := self.node_of(member)) is not None]
            return {"union": nodes} if nodes else None
        if hasattr(kind, "type") and hasattr(kind, "extra_json_schema"):  # msgspec.Meta around a type
            return self.node_of(kind.type)
        return None

    def place_of(self, kind: Any) -> int:
        place = self.places.setdefault(id(kind), len(self.objects))
        if place == len(self.objects):
            tag = getattr(kind, "tag", None)
            described: dict[str, Any] = {
                "name": getattr(kind.cls, "__qualname__", str(kind.cls)),
                "array": getattr(kind, "array_like", type(kind).__name__ == "NamedTupleType"),
                "tag": None if tag is None else [kind.tag_field, tag],
            }
            self.objects.append(described)
            described["fields"] = [[field.encode_name, field.name, self.node_of(field.type)] for field in kind.fields]
        return place


def reader_of(objects: list[Any]) -> Callable[[bytes], Any]:
    """Make the function that decodes a payload; an object becomes a SimpleNamespace.

    Raises
    ------
    ValueError
        This describes no objects; the text says why.
    """
    check_objects(objects)

    def read(payload: bytes) -> Any:
        try:
            import msgspec
        except ImportError as error:
            raise ValueError("msgspec is not installed") from error
        return Naming(objects).named(msgspec.msgpack.decode(payload), {"object": 0})

    return read


class Naming:
    """Gives the values of one payload the names of their fields."""

    def __init__(self, objects: list[Any]) -> None:
        self.objects = objects

    def named(self, value: Any, node: Node) -> Any:
        match node:
            case {"object": place} if self.is_object(value, self.objects[place]):
                return self.named_object(value, self.objects[place])
            case {"items": items} if isinstance(value, list):
                return [self.named(item, items) for item in value]
            case {"tuple": items} if isinstance(value, list) and len(value) == len(items):
                return [self.named(item, inside) for item, inside in zip(value, items, strict=True)]
            case {"values": inside} if isinstance(value, dict):
                return {key: self.named(item, inside) for key, item in value.items()}
            case {"union": nodes}:
                return self.named(value, next((one for one in nodes if self.fits(value, one)), None))
        return value

    def fits(self, value: Any, node: Node) -> bool:
        """Whether `value` is the member of a union that `node` describes; msgspec lets one only be possible."""
        match node:
            case {"object": place}:
                return self.is_object(value, self.objects[place])
            case {"values": _}:
                return isinstance(value, dict)
            case {"items": _} | {"tuple": _}:
                return isinstance(value, list)
        return False

    def is_object(self, value: object, described: dict[str, Any]) -> bool:
        if not isinstance(value, list if described["array"] else dict):
            return False
        if described["tag"] is None:
            return True
        field, tag = described["tag"]
        if isinstance(value, dict):
            return bool(value.get(field) == tag)
        return bool(value[:1] == [tag])

    def named_object(self, value: Any, described: dict[str, Any]) -> SimpleNamespace:
        result = SimpleNamespace()
        names = vars(result)
        if described["array"]:
            items = iter(value)
            if described["tag"] is not None:
                names[described["tag"][0]] = next(items)
            for (_, name, node), item in zip(described["fields"], items, strict=False):  # defaults may be left out
                names[name] = self.named(item, node)
            return result
        known = {wire_name: (name, node) for wire_name, name, node in described["fields"]}
        for key, item in value.items():
            name, node = known.get(key, (str(key), None))
            names[name] = self.named(item, node)
        return result


def check_objects(objects: list[Any]) -> None:
    """Raise ValueError unless `objects` describes objects, the first of them the message."""
    if not objects:
        raise ValueError("there must be at least one object")
    for described in objects:
        match described:
            case {"name": str(name), "array": bool(), "tag": tag, "fields": list(fields)}:
                if tag is not None and not (isinstance(tag, list) and len(tag) == 2 and isinstance(tag[0], str)):
                    raise ValueError(f"the tag of {name!r} must be null or [field, value], got {tag!r}")
            case _:
                raise ValueError(f"an object must have a name, array, tag and fields, got {described!r}")
        for field in fields:
            match field:
                case [str(), str(), node]:
                    check_node(node, len(objects))
                case _:
                    raise ValueError(f"a field of {name!r} must be [wire name, name, node], got {field!r}")
        check_names_differ([field[1] for field in fields])


def check_node(node: Any, count: int) -> None:
    match node:
        case None:
            return
        case {"object": int(place)} if 0 <= place < count:
            return
        case {"items": inside} | {"values": inside}:
            check_node(inside, count)
        case {"tuple": list(nodes)} | {"union": list(nodes)}:
            for inside in nodes:
                check_node(inside, count)
        case _:
            raise ValueError(
                f"a node must be null, one of {count} objects, items, values, a tuple or a union, got {node!r}"
            )
