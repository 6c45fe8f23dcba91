"""People pay while things break. Begin with `shop.py`; `crowd.py` is who pays how, `books.py` what came of it."""
