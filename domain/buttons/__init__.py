"""What buttons send back: the one convention, and the buttons that stand on cards.

A feature's other buttons stand in `handlers/<feature>/buttons.py`. Begin with `data.py`.
"""
