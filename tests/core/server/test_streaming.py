import asyncio
import tracemalloc

import pytest

from slicerxai.explain.multipart import Body
from slicerxai.server.streaming import CHUNK_BYTES, FilesResponse


async def sent_by(response, fail_after=None):
    messages = []

    async def send(message):
        messages.append(message)
        if fail_after is not None and len(messages) > fail_after:
            raise OSError("the client is gone")

    await response({"type": "http"}, None, send)
    return messages


def test_bytes_and_files_in_order_with_their_length(tmp_path):
    content = bytes(range(256)) * (CHUNK_BYTES // 128)
    (tmp_path / "a").write_bytes(content)
    ended = []
    response = FilesResponse(Body((b"head", tmp_path / "a", b"tail"), "text/x"), lambda: ended.append(True))
    (tmp_path / "a").unlink()
    start, *bodies = asyncio.run(sent_by(response))
    assert dict(start["headers"])[b"content-length"] == str(len(content) + 8).encode()
    assert dict(start["headers"])[b"content-type"].startswith(b"text/x")
    assert b"".join(body["body"] for body in bodies) == b"head" + content + b"tail"
    assert [body.get("more_body", False) for body in bodies] == [True] * (len(bodies) - 1) + [False]
    assert ended == [True]


def test_a_large_file_is_never_in_memory(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(64 * 1024**2)
    response = FilesResponse(Body((tmp_path / "large",), "application/octet-stream"))

    async def run():
        async def send(message):
            pass

        await response({"type": "http"}, None, send)

    tracemalloc.start()
    asyncio.run(run())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * CHUNK_BYTES


def test_a_client_that_leaves_and_a_missing_file_leave_nothing_open(tmp_path):
    (tmp_path / "a").write_bytes(bytes(4 * CHUNK_BYTES))
    ended = []
    response = FilesResponse(Body((tmp_path / "a",), "x"), lambda: ended.append("gone"))
    with pytest.raises(OSError, match="gone"):
        asyncio.run(sent_by(response, fail_after=2))
    assert all(piece.closed for piece in response._pieces)
    with pytest.raises(FileNotFoundError):
        FilesResponse(Body((tmp_path / "a", tmp_path / "missing"), "x"), lambda: ended.append("missing"))
    assert ended == ["gone", "missing"]
