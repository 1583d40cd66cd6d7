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
    queue_limit: int = Field(default=64, ge=1, description="Jobs that may wait, of each lane, before more are refused.")
    upload_limit: int = Field(default=2 * 1024**3, ge=1, description="Largest request that the server accepts, bytes.")
    memory_limit: int | None = Field(
        default=None,
        ge=2 * 1024**3,
        description="Memory that one worker may take, bytes; by default nine tenths of the machine's, shared by all.",
    )
    voxel_limit: int = Field(default=512**3, ge=1, description="Voxels that an image may have, as its header says.")
    token_audience: str | None = Field(
        default=None, description="Audience of accepted tokens; MONAI_LABEL_AUTH_CLIENT_ID when it is not set."
    )
    audit_limit: int = Field(
        default=64 * 1024**2, ge=1, description="Size at which a file of the audit log is full, bytes."
    )
    audit_required: bool | None = Field(
        default=None, description="Answer 503 where the audit log cannot be written; by default where there are logins."
    )
    shutdown_seconds: float = Field(
        default=5.0, ge=0, description="How long requests and running jobs may go on when the server is asked to stop."
    )
    allow_unauthenticated: bool = Field(
        default=False, description="Let the server answer other machines although logins are off."
    )

    dicom_credentials: Path | None = Field(
        default=None, description="File with USER:PASSWORD of the DICOMweb server, readable by its owner alone."
    )
    dicom_certificates: Path | None = Field(
        default=None, description="PEM file of the authorities that vouch for the DICOMweb server."
    )
    dicom_filter: dict[str, str] = Field(
        default={"Modality": "MR"}, description="What the series of the DICOMweb server are searched by (QIDO-RS)."
    )
    dicom_series_limit: int = Field(default=2000, ge=1, description="Most series of the DICOMweb server to list.")
    dicom_cache_limit: int = Field(
        default=20 * 1024**3, ge=1, description="Bytes of fetched images to keep; those used last stay."
    )
    dicom_timeout: float = Field(default=30.0, gt=0, description="Seconds to wait for the DICOMweb server.")

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def jobs(self) -> Path:
        return self.home / "jobs"

    @property
    def audit(self) -> Path:
        """The audit log: who did what with which study."""
        return self.home / "audit"

    @property
    def alarms(self) -> Path:
        """Fitted alarms, by the digests of their models."""
        return self.home / "alarms"

    @property
    def realism(self) -> Path:
        """What models' images look like, by the digests of the models."""
        return self.home / "realism"

    @property
    def generators(self) -> Path:
        """Trained generators of interventional images."""
        return self.home / "generators"

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
