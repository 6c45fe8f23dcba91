from tests.admin.people.conftest import house, owner, reader

__all__ = ["house", "owner", "reader"]
