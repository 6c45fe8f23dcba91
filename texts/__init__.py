from texts.renderer import Texts

__all__ = ["Texts"]
