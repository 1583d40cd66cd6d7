"""Model folders that were damaged, or come from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

from slicerxai.errors import InputError, UserError, shortened


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Whatever is raised while a model folder is read becomes an `InputError` that names the folder and the reason."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a description or weights of another form fail anywhere in the libraries
        if isinstance(error, UnpicklingError):  # torch's words are for programmers
            reason = "its weights cannot be read"
        else:
            reason = f"{type(error).__name__}: {shortened(str(error).splitlines()[0] if str(error) else '')[1:-1]}"
        msg = f"model folder {folder} is damaged ({reason}); train the model again"
        raise InputError(msg) from error
