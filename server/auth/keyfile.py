"""Files of PORTFOLIO_KEYS: made once, by whichever process comes first, and readable by their owner alone."""

from __future__ import annotations

import os
from pathlib import Path


def write_once(path: Path, content: bytes) -> None:
    """Does nothing when another process has made the file in the meantime. OSError."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    # A link appears whole or not at all, and never replaces the key that another process has made.
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()
