from tests.admin.people.conftest import house, reader

__all__ = ["house", "reader"]
