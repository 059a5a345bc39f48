"""Adjusters on the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from metaloss.checks import InputError
from metaloss.files import user_path
from metaloss.pretrained.card import CARD, TENSORS

REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def download(repository: str) -> Path:
    """Download the two files of an adjuster, ``"user/name"`` on the Hub, and return their folder.

    Raises:
        InputError: ``huggingface_hub`` is not installed, or the download failed.
    """
    hub = _hub(f"{repository}: expected a folder, got none; to look for it on the Hugging Face Hub")
    try:
        return Path(hub.snapshot_download(repository, allow_patterns=[TENSORS, CARD]))
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        raise InputError(
            f"{repository}: expected a folder, or a repository of the Hugging Face Hub, but: "
            f"{str(error).splitlines()[0]}"
        ) from error


def upload(folder: str | Path, repository: str) -> None:
    """Upload a saved adjuster to a repository of the Hub, which is created if it is missing.

    Args:
        folder: the folder of a saved adjuster.
        repository: ``"user/name"``.

    Raises:
        InputError: ``huggingface_hub`` is not installed, or the folder holds no adjuster.
    """
    folder = user_path(folder)
    for name in (TENSORS, CARD):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: expected a saved adjuster, got no {name} there")
    hub = _hub("to share an adjuster")
    hub.create_repo(repository, exist_ok=True)
    hub.upload_folder(repo_id=repository, folder_path=folder, allow_patterns=[TENSORS, CARD])


def _hub(purpose: str) -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise InputError(f"{purpose}: pip install huggingface_hub") from error
    return huggingface_hub
