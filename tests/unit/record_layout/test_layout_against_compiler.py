"""The layout of a Record is the one the C compiler gives the same struct."""

from __future__ import annotations

import os
import random
import subprocess
import sysconfig
import types
from pathlib import Path
from typing import Annotated, Any

from nanobus.field_types import Array, boolean, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64
from nanobus.records import Record

C_TYPES = {
    "uint8_t": u8, "uint16_t": u16, "uint32_t": u32, "uint64_t": u64, "int8_t": i8, "int16_t": i16, "int32_t": i32,
    "int64_t": i64, "float": f32, "double": f64, "bool": boolean,
}  # fmt: skip
SEED = 20240607
STRUCTS = 300


def random_field(source: random.Random, index: int) -> tuple[str, str, Any]:
    """Return a field's name, its C declaration and its annotation."""
    name = f"field_{index}"
    length = source.randint(1, 9)
    c_type, scalar = source.choice(list(C_TYPES.items()))
    return source.choice(
        [
            (name, f"{c_type} {name};", scalar),
            (name, f"{c_type} {name}[{length}];", Annotated[tuple[Any, ...], Array(scalar, length)]),
            (name, f"char {name}[{length}];", Annotated[bytes, length]),
        ]
    )


def test_offsets_and_sizes_are_those_of_the_compiler(tmp_path: Path) -> None:
    source = random.Random(SEED)
    structs = [[random_field(source, index) for index in range(source.randint(1, 12))] for _ in range(STRUCTS)]
    lines = ["#include <stdbool.h>", "#include <stddef.h>", "#include <stdint.h>", "#include <stdio.h>"]
    prints = []
    for number, fields in enumerate(structs):
        declarations = " ".join(declaration for _, declaration, _ in fields)
        lines.append(f"struct s{number} {{ {declarations} }};")
        prints.append(f'printf("%zu", sizeof(struct s{number}));')
        for name, _, _ in fields:
            of_field = f"offsetof(struct s{number}, {name}), sizeof(((struct s{number} *) 0)->{name})"
            prints.append(f'printf(" %zu:%zu", {of_field});')
        prints.append('printf("\\n");')
    lines += ["int main(void) {", *prints, "return 0; }"]
    (tmp_path / "layouts.c").write_text("\n".join(lines))
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    environment = {**os.environ, "LD_PRELOAD": ""}  # a sanitizer's library, which compilers can do without
    subprocess.run([compiler, "-std=c11", "-o", "layouts", "layouts.c"], cwd=tmp_path, check=True, env=environment)
    compiled = subprocess.run([tmp_path / "layouts"], check=True, capture_output=True, text=True).stdout.splitlines()

    for fields, expected in zip(structs, compiled, strict=True):
        annotations = {name: annotation for name, _, annotation in fields}
        record = types.new_class("Made", (Record,), {}, lambda body, a=annotations: body.update(__annotations__=a))
        placed = " ".join(f"{offset}:{size}" for _, _, offset, size in record.__layout__)
        assert f"{len(bytes(record()))} {placed}" == expected, f"seed {SEED}: {fields}"
