"""A channel's post, understood: which tokens it names, whether that is a call, and why.

Pure: knows no page, no driver and no chain; whoever reads channels turns what they get into a `Post`. Nobody's word is
taken: addresses decode or are left out, figures are what it states. Begin with `understanding.py`.
"""
