"""The fingerprint of a layout: equal in every process and Python version, other as soon as the layout is.

A canonical text of the layout is hashed. The text holds the names, order and types of fields, never an address, a
`hash()` or a module (a script's is `__main__` in one process only), and a default value only where the payload leaves
out what has it. What only checks a value, such as the metadata of `Annotated`, is no layout either.
"""

from __future__ import annotations

import types
import typing
from typing import Any

Parents = tuple[type, ...]


def fingerprint_of(*texts: str) -> str:
    """Hash `texts` to 16 hexadecimal digits."""
    import hashlib

    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def layout_of(annotation: Any, parents: Parents = ()) -> str:
    """Write a type as text, with the fields of the classes in it. `parents`: the classes this one is inside of."""
    if annotation is None or annotation is types.NoneType:
        return "None"
    if annotation in parents:
        return f"^{parents.index(annotation)}"
    if isinstance(annotation, types.GenericAlias) or not isinstance(annotation, type):
        return layout_of_form(annotation, parents)
    members = getattr(annotation, "__members__", None)
    if isinstance(members, types.MappingProxyType):
        return "enum{" + ",".join(f"{name}={ascii_of(member)}" for name, member in members.items()) + "}"
    if fields_of(annotation) is None:
        return annotation.__qualname__
    parents = (*parents, annotation)
    inside = ",".join(f"{name}:{text}" for name, text in field_texts_of(annotation, parents))
    return f"{shape_of(annotation)}{arguments_of(annotation, parents)}{{{inside}}}"


def layout_of_form(form: Any, parents: Parents) -> str:
    """Write what stands in an annotation and is no class: a union, `list[int]`, a type variable, a name."""
    origin, arguments = typing.get_origin(form), typing.get_args(form)
    if origin is typing.Annotated:
        return layout_of(arguments[0], parents)
    if origin is typing.Literal:
        return f"literal[{','.join(sorted(map(ascii_of, arguments)))}]"
    if origin is typing.Union or origin is types.UnionType:  # sorted: equal unions share a cache entry, and its order
        return "|".join(sorted(layout_of(argument, parents) for argument in arguments))
    if origin is not None:
        return f"{layout_of(origin, parents)}[{','.join(layout_of(argument, parents) for argument in arguments)}]"
    if isinstance(form, (list, tuple)):
        return f"[{','.join(layout_of(argument, parents) for argument in form)}]"
    if isinstance(form, str):
        return form
    if isinstance(form, typing.ForwardRef):
        return form.__forward_arg__
    for what_it_stands_for in ("__supertype__", "__value__"):  # NewType, type statement
        if hasattr(form, what_it_stands_for):
            return layout_of(getattr(form, what_it_stands_for), parents)
    if isinstance(form, typing.TypeVar):
        return f"{form.__name__}<{layout_of(form.__bound__, parents)}{layout_of(form.__constraints__, parents)}>"
    return str(getattr(form, "__name__", type(form).__qualname__))


def field_texts_of(cls: type, parents: Parents) -> list[tuple[str, str]]:
    """Names on the wire of the fields of a class, and the text of each: its type, and its default if that counts."""
    defaults = defaults_of(cls)
    return [(name, layout_of(kind, parents) + defaults.get(name, "")) for name, kind in fields_of(cls) or ()]


def defaults_of(cls: type) -> dict[str, str]:
    """Fields that a payload leaves out where they have their default, which only the class knows then, and that."""
    config = getattr(cls, "__struct_config__", None)
    if config is None or not config.omit_defaults:
        return {}
    import msgspec

    return {
        field.encode_name: "=" + default_text_of(field.default, field.default_factory)
        for field in msgspec.structs.fields(cls)
        if not field.required
    }


def default_text_of(value: Any, factory: Any) -> str:
    """A default as JSON where it has one, else the name of what makes it."""
    import msgspec

    if value is msgspec.NODEFAULT:
        return f"{getattr(factory, '__qualname__', type(factory).__qualname__)}()"
    try:
        return msgspec.json.encode(value, order="deterministic").decode()
    except Exception:
        return type(value).__qualname__


def fields_of(cls: type) -> list[tuple[str, Any]] | None:
    """Names on the wire and types of the fields of a class, in order; None for a class that is a plain value."""
    known: Any = cls
    if hasattr(cls, "__struct_encode_fields__"):  # msgspec
        hints = hints_of(cls)
        pairs = zip(known.__struct_encode_fields__, known.__struct_fields__, strict=True)
        return [(encoded, hints.get(name, Any)) for encoded, name in pairs]
    if isinstance(getattr(cls, "__pydantic_fields__", None), dict):
        return [(name, field.annotation) for name, field in known.__pydantic_fields__.items()]
    if hasattr(cls, "__dataclass_fields__"):
        import dataclasses

        hints = hints_of(cls)
        return [(field.name, hints.get(field.name, field.type)) for field in dataclasses.fields(known)]
    if hasattr(cls, "__attrs_attrs__"):
        hints = hints_of(cls)
        return [(field.name, hints.get(field.name, field.type)) for field in known.__attrs_attrs__]
    if typing.is_typeddict(cls):
        hints = hints_of(cls)
        return [(name + ("" if name in known.__required_keys__ else "?"), kind) for name, kind in hints.items()]
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):  # a named tuple
        hints = hints_of(cls)
        return [(name, hints.get(name, Any)) for name in known._fields]
    return None


def hints_of(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except NameError:  # a name of some function's scope: the fields' own annotations have to do
        return {}


def shape_of(cls: type) -> str:
    """What the fields stand in: a map, an array, with a tag or without."""
    config = getattr(cls, "__struct_config__", None)
    if config is None:
        return "array" if issubclass(cls, tuple) else "map"
    shape = "array" if config.array_like else "map"
    if config.omit_defaults:
        shape += "-defaults"
    return shape if config.tag is None else f"{shape}({config.tag_field}={config.tag!a})"


def arguments_of(cls: type, parents: Parents) -> str:
    """The arguments of generic bases: in `class Prices(Box[int])` the fields of Box know only T."""
    arguments = [
        layout_of(argument, parents)
        for base in cls.__mro__
        for generic in vars(base).get("__orig_bases__", ())
        if typing.get_origin(generic) not in (None, typing.Generic, typing.Protocol)
        for argument in typing.get_args(generic)
    ]
    return f"<{','.join(arguments)}>" if arguments else ""


def ascii_of(constant: Any) -> str:
    """An enum's member or a literal: the value where its text is the same everywhere, else the name."""
    value = getattr(constant, "value", constant)
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return ascii(value)
    return str(getattr(constant, "name", type(constant).__qualname__))
