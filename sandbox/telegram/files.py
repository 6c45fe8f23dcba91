"""Files that a bot uploaded, within a bound of memory."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from dataclasses import dataclass

_KEPT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it stood in a multipart request."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class StoredFile:
    file_id: str
    unique_id: str
    path: str
    """Below `/file/bot<token>/`."""
    name: str
    content_type: str
    data: bytes
    kind: str
    """`photo`, `animation`, `video` or `document`: a file_id can only be sent again as what it is."""
    source_url: str = ""
    """Where a file sent by address is; the sandbox fetches nothing, so `data` is empty."""


class FileStore:
    def __init__(self) -> None:
        self._by_id: OrderedDict[str, StoredFile] = OrderedDict()
        self._ids = itertools.count(int(time.time()))  # grows over a restart, as message ids do
        self._bytes = 0

    def add(self, kind: str, upload: Upload, *, source_url: str = "") -> StoredFile:
        """Keep the file; the oldest ones make room."""
        number = next(self._ids)
        suffix = upload.name.rpartition(".")[2] if "." in upload.name else "bin"
        file = StoredFile(
            file_id=f"SandboxFile{kind.capitalize()}{number:08d}AAAAAAAAAAAAAAAA",
            unique_id=f"Sandbox{number:08d}",
            path=f"{kind}s/file_{number}.{suffix}",
            name=upload.name,
            content_type=upload.content_type,
            data=upload.data,
            kind=kind,
            source_url=source_url,
        )
        self._by_id[file.file_id] = file
        self._bytes += len(file.data)
        while self._bytes > _KEPT_BYTES and len(self._by_id) > 1:
            _, oldest = self._by_id.popitem(last=False)
            self._bytes -= len(oldest.data)
        return file

    def get(self, file_id: str) -> StoredFile | None:
        return self._by_id.get(file_id)

    def by_path(self, path: str) -> StoredFile | None:
        return next((file for file in self._by_id.values() if file.path == path), None)
