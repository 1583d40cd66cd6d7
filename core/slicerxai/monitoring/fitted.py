"""What all alarms have in common: saved as JSON, refused for any other model."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from slicerxai.errors import ConflictError, InputError, dotted, shortened


class Fitted(BaseModel):
    """An alarm fitted to the model of a digest; `KIND` names it in messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    KIND: ClassVar[str]
    model_digest: str

    def text(self) -> str:
        """JSON."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def parse(cls, text: str, model_digest: str) -> Self:
        """Inverse of `text`.

        Raises:
            ConflictError: it was fitted to another model; names both.
            InputError: the text is something else.
        """
        try:
            found = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            msg = f"not {cls.KIND}: {dotted(first['loc']) or 'text'}: {first['msg']}"
            raise InputError(msg) from None
        if found.model_digest != model_digest:
            other = shortened(found.model_digest[:12])[1:-1]
            msg = (
                f"the alarm was fitted to model {other}… and says nothing about model {model_digest[:12]}…; fit one to "
                "that model"
            )
            raise ConflictError(msg)
        return found
