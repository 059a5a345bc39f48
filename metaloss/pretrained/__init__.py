"""Learned adjusters: those of the package, and saving, loading and sharing your own."""

from metaloss.pretrained.bundled import Pretrained, list_pretrained
from metaloss.pretrained.by_name import from_pretrained
from metaloss.pretrained.card import add_to_card
from metaloss.pretrained.files import load_adjuster, save_adjuster
from metaloss.pretrained.hub import upload
from metaloss.pretrained.start import start_from

__all__ = [
    "Pretrained",
    "add_to_card",
    "from_pretrained",
    "list_pretrained",
    "load_adjuster",
    "save_adjuster",
    "start_from",
    "upload",
]
