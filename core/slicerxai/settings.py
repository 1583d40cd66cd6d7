"""Settings of this installation, each overridable by an environment variable `SLICERXAI_<NAME>`."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things are kept and how much of the machine to use."""

    model_config = SettingsConfigDict(env_prefix="SLICERXAI_")

    home: Path = Field(default=Path.home() / ".slicerxai", description="Trained models, jobs and results.")
    cohorts: Path | None = Field(
        default=None, description="Folder whose subfolders are the server's cohorts; HOME/cohorts when it is not set."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where networks run.")
    threads: int = Field(default=min(2, os.cpu_count() or 1), ge=1, description="CPU threads of one computing process.")
    workers: int = Field(default=2, ge=1, description="Warm worker processes of the server.")
    queue_limit: int = Field(default=64, ge=1, description="Jobs that may wait before the server refuses more.")
    upload_limit: int = Field(default=2 * 1024**3, ge=1, description="Largest request that the server accepts, bytes.")
    allow_unauthenticated: bool = Field(
        default=False, description="Let the server answer other machines although logins are off."
    )

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def jobs(self) -> Path:
        return self.home / "jobs"

    @property
    def alarms(self) -> Path:
        """Fitted alarms, by the digests of their models."""
        return self.home / "alarms"

    @property
    def realism(self) -> Path:
        """What models' images look like, by the digests of the models."""
        return self.home / "realism"

    @property
    def scores(self) -> Path:
        """Predictions and scores of cohorts' cases, by digests; may be deleted at any time."""
        return self.home / "scores"

    @property
    def cohorts_folder(self) -> Path:
        return self.cohorts or self.home / "cohorts"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
