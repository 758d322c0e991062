"""protobuf: the files a message class came from, as protoc describes them, are all that decoding needs."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from nanobus.codecs.protobuf import cardinality_of


def description_of(descriptor: Any) -> dict[str, str]:
    """Describe a message: its full name, and a FileDescriptorSet of its file and those it imports, in base64."""
    from google.protobuf import descriptor_pb2

    files: dict[str, Any] = {}

    def collect(file: Any) -> None:
        if file.name not in files:
            for imported in file.dependencies:
                collect(imported)
            files[file.name] = file

    collect(descriptor.file)
    described = descriptor_pb2.FileDescriptorSet()
    for file in files.values():  # imported ones first
        file.CopyToProto(described.file.add())
    return {
        "message": descriptor.full_name,
        "files": b64encode(described.SerializeToString(deterministic=True)).decode(),
    }


def fields_of(descriptor: Any) -> list[dict[str, str]]:
    """Name the fields of a message and of all messages in it, with their types, for people to compare."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto

    fields = []
    pending, known = [(descriptor, "")], {descriptor.full_name}
    for found, path in pending:
        for field in found.fields:
            inner, enum = field.message_type, field.enum_type
            simple = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
            kind = (inner or enum).full_name if inner or enum else simple
            if enum is not None:
                kind += "{" + ",".join(f"{value.name}={value.number}" for value in enum.values) + "}"
            fields.append({"name": path + field.name, "type": f"{cardinality_of(field)} {kind} = {field.number}"})
            if inner is not None and inner.full_name not in known:
                known.add(inner.full_name)
                pending.append((inner, f"{inner.name}."))
    return fields


def reader_of(message: str, files: str) -> Callable[[bytes], Any]:
    """Make the function that decodes a payload; a message becomes a SimpleNamespace.

    Raises
    ------
    ValueError
        `files` is no base64.
    """
    try:
        serialized = b64decode(files, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the files of {message} must be base64: {error}") from error
    made: list[Any] = []  # the class, once it was needed

    def read(payload: bytes) -> Any:
        if not made:
            made.append(message_class_of(message, serialized))
        return value_of(made[0].FromString(payload))

    return read


def message_class_of(message: str, serialized: bytes) -> Any:
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise ValueError("protobuf is not installed") from error
    pool = descriptor_pool.DescriptorPool()  # its own: the application's classes may be of another layout
    for file in descriptor_pb2.FileDescriptorSet.FromString(serialized).file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(message))


def value_of(message: Any) -> SimpleNamespace:
    """All fields, also those that have their default; None for what can be absent and is."""
    return SimpleNamespace(**{field.name: field_value_of(message, field) for field in message.DESCRIPTOR.fields})


def field_value_of(message: Any, field: Any) -> Any:
    if cardinality_of(field) == "repeated":
        items = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            kind = field.message_type.fields_by_name["value"]
            return {key: single_value_of(items[key], kind) for key in items}
        return [single_value_of(item, field) for item in items]
    if field.has_presence and not message.HasField(field.name):
        return None
    return single_value_of(getattr(message, field.name), field)


def single_value_of(value: Any, field: Any) -> Any:
    if field.message_type is not None:
        return value_of(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return value
