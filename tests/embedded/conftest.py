from __future__ import annotations

from tests.stores.conftest import data_dir, path, process, proxy

__all__ = ["data_dir", "path", "process", "proxy"]
