from __future__ import annotations

from tests.admin.people.conftest import house, outsider, owner, reader, support, victim

__all__ = ["house", "outsider", "owner", "reader", "support", "victim"]
