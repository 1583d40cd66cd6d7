import os
import threading

import pytest
from filelock import FileLock, Timeout

from slicerxai.errors import UnavailableError
from slicerxai.server.monailabel.studies_folder import StudiesFolder


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "studies"
    path.mkdir()
    (path / "list.json").write_text("{}")
    return path


def opened(folder):
    return StudiesFolder(folder / "list.json", folder / ".lock")


def test_its_lock_is_the_one_that_others_know_and_may_be_taken_twice(folder):
    studies, other = opened(folder), FileLock(folder / ".lock", timeout=0)
    with studies.locked():
        with studies.locked(), pytest.raises(Timeout):
            other.acquire()
        with pytest.raises(Timeout):
            other.acquire()
    other.acquire()
    other.release()


def test_two_threads_take_turns(folder):
    studies, inside, most = opened(folder), [], []

    def work():
        for _ in range(50):
            with studies.locked():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 200


@pytest.mark.parametrize("instead", ["nothing", "an empty folder"])
def test_a_folder_that_is_gone_is_neither_made_nor_written_to(folder, instead):
    studies = opened(folder)
    folder.rename(folder.with_name("aside"))
    if instead == "an empty folder":
        folder.mkdir()
    with pytest.raises(UnavailableError, match="gone"), studies.locked():
        pass
    assert not folder.exists() or not list(folder.iterdir())


def test_a_folder_that_leaves_while_it_is_locked(folder):
    studies = opened(folder)
    with studies.locked():
        folder.rename(folder.with_name("aside"))
        folder.mkdir()
        (folder / "list.json").write_text("{}")
        with pytest.raises(UnavailableError):
            studies.check_there()
    with studies.locked():
        studies.check_there()  # another folder in its place is a folder again


def test_a_file_that_is_not_found_says_whether_the_folder_left(folder):
    studies = opened(folder)
    with pytest.raises(FileNotFoundError), studies.locked():
        (folder / "label.nii.gz").read_bytes()
    with pytest.raises(UnavailableError), studies.locked():
        folder.rename(folder.with_name("aside")).joinpath("label.nii.gz").read_bytes()


def test_a_lock_file_that_was_deleted_is_made_again(folder):
    studies, descriptor = opened(folder), os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    (folder / ".lock").unlink()
    with studies.locked():
        assert (folder / ".lock").exists()
    os.close(descriptor)
