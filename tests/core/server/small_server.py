"""A server of the explain routes alone, over a folder of images: `python small_server.py HOME STUDIES PORT`."""

import json
import sys
from pathlib import Path

import server_tasks
from fastapi import FastAPI

from slicerxai.models.store import ModelStore
from slicerxai.server.explain_routes import router
from slicerxai.server.pool import Pool, shared_pool
from slicerxai.server.problems import install_problem_handlers
from slicerxai.server.sources import Sources, monai_label_sources
from slicerxai.server.worker import end_with_parent


class FolderDatastore:
    def __init__(self, folder):
        self.folder = self._datastore_path = folder

    def list_images(self):
        return [path.name.removesuffix(".nii.gz") for path in self.folder.glob("*.nii.gz")]

    def get_image_uri(self, image):
        return str(self.folder / f"{image}.nii.gz")


def make_app(pool, sources):
    app = FastAPI()
    app.include_router(router)
    install_problem_handlers(app)
    app.dependency_overrides[shared_pool] = lambda: pool
    app.dependency_overrides[monai_label_sources] = lambda: sources
    return app


def make_home(folder):
    """A home with one model, which stand-ins never load."""
    model = folder / "models" / "tiny"
    model.mkdir(parents=True)
    description = {"name": "tiny", "kind": "fast", "channels": ["FLAIR"], "labels": ["background", "lesion"]}
    (model / "model.json").write_text(json.dumps(description))
    return folder


def make_pool(home, workers=2, queue_limit=64):
    return Pool(
        home / "jobs",
        ModelStore(home / "models"),
        workers=workers,
        queue_limit=queue_limit,
        explain=server_tasks.explain,
        warm_up=end_with_parent,
    )


if __name__ == "__main__":
    import uvicorn

    home, studies, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    app = make_app(make_pool(home), Sources(FolderDatastore(studies), studies))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
