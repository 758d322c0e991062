"""schema.json in the folder of a journal: read by anyone at any moment, written by one process at a time.

    update:   lock the folder -> load -> change -> new file beside it, synced -> rename -> sync the folder -> unlock

The lock is the kernel's, on the folder itself: it goes with its owner, however that dies. Whoever dies half-way leaves
the old schema, and a file that the next update writes over. Readers need no lock: a rename shows all or nothing.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nanobus.errors import SchemaError
from nanobus.schema.entries import Schema
from nanobus.schema.parsing import parse, text_of

NAME = "schema.json"
NEW_NAME = ".schema.json.new"
LARGEST_FILE = 1 << 28  # bytes

Folder = str | os.PathLike[str]


def load(folder: Folder) -> Schema:
    """Read the schema of the journal in `folder`; an empty one where there is none yet.

    Raises
    ------
    SchemaError
        The file is no valid schema, is a symlink, or others may write to it; the text names file, rule and value.
    OSError
        The folder cannot be opened, or the file not be read.
    """
    with opened(folder) as descriptor:
        return read(descriptor, path_of(folder))


def save(folder: Folder, schema: Schema) -> None:
    """Make `schema` that of the journal in `folder`, whatever it was before. Use `update` to change it.

    Raises
    ------
    OSError
        The file cannot be written; the old one is untouched.
    """
    with opened(folder) as descriptor, locked(descriptor):
        write(descriptor, path_of(folder), schema)


def update(folder: Folder, change: Callable[[Schema], Schema]) -> Schema:
    """Make of the schema of the journal in `folder` what `change` makes of it, with `Schema.merge` or `Schema.cut`.

    Parameters
    ----------
    folder : str or path-like
    change : callable
        Schema -> Schema; called while nobody else updates, so what it looks at is of the same moment. Where it returns
        the very object that it got, nothing is written. It may raise: then nothing is written either.

    Returns
    -------
    Schema
        What the file holds now.

    Raises
    ------
    SchemaError, OSError
        As for `load` and `save`.

    Notes
    -----
    Safe from any thread and process, at the same time: no entry is lost. It waits for whoever updates at the moment.
    """
    with opened(folder) as descriptor, locked(descriptor):
        known = read(descriptor, path_of(folder))
        changed = change(known)
        if changed is not known:
            write(descriptor, path_of(folder), changed)
        return changed


def path_of(folder: Folder) -> str:
    return str(Path(folder, NAME))


@contextmanager
def opened(folder: Folder) -> Iterator[int]:
    """Hold the folder itself, so that a rename of it meanwhile does not lead elsewhere."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: int) -> Iterator[None]:
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)  # not by closing alone: a forked child may hold the descriptor, too


def read(folder: int, path: str) -> Schema:
    try:
        # Not to wait for the other end, should it be a pipe.
        descriptor = os.open(NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        return Schema()
    except OSError as error:
        if stat.S_ISLNK(os.stat(NAME, dir_fd=folder, follow_symlinks=False).st_mode):
            raise SchemaError(f"{path} must be a file, got a symlink") from error
        raise
    try:
        check(os.fstat(descriptor), path)
        with open(descriptor, "rb", closefd=False) as file:
            return parse(file.read(), path)
    finally:
        os.close(descriptor)


def check(found: os.stat_result, path: str) -> None:
    """Raise unless this is a file that only its owner can have written, and of a size that one can read."""
    if not stat.S_ISREG(found.st_mode):
        raise SchemaError(f"{path} must be a file, got {stat.filemode(found.st_mode)}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SchemaError(f"{path} must be writable by its owner only, got {stat.filemode(found.st_mode)}")
    if found.st_size > LARGEST_FILE:
        raise SchemaError(f"{path} must have at most {LARGEST_FILE} bytes, got {found.st_size}")


def write(folder: int, path: str, schema: Schema) -> None:
    """Replace the file at once, and only when its new bytes are on the disk. The folder must be locked."""
    text = text_of(schema, version()).encode()
    parse(text, path)  # what could not be read again must not get there
    with suppress(FileNotFoundError):
        os.unlink(NEW_NAME, dir_fd=folder)
    descriptor = os.open(NEW_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask takes away
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.replace(NEW_NAME, NAME, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(NEW_NAME, dir_fd=folder)
        raise
    os.fsync(folder)


def version() -> str:
    """Return the version of this library."""
    from importlib.metadata import version as version_of

    return version_of("nanobus")
