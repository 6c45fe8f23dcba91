"""Channels of a stand-in, read and told: what `sources` measures beside the parser."""
