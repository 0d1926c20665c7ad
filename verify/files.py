"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def require_writable(path: Path, argument: str) -> None:
    """An error that names the argument where no such file can be written; leaves nothing behind."""
    target = path.resolve()
    need = "needed is a file name in a folder that exists and can be written"
    if target.exists() and not target.is_file():
        raise ValueError(f"{argument}={path} exists and is not a file: {need}")
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise ValueError(f"{argument}={path} cannot be written ({error.strerror}): {need}") from error


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write text (as UTF-8) or bytes to a temporary file beside the target, then rename it over the target."""
    target = path.resolve()
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
