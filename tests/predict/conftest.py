"""The runs that all tests of predictions share."""

from __future__ import annotations

import pytest

from tests.predict.runs import FILES, ONE, SEVERAL, Runs, train, write_images


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Trained runs, whose data are not where they were."""
    place = tmp_path_factory.mktemp("predict")
    data, images = place / "data", place / "moved"
    write_images(data)
    said = f"\nDATA = {str(data)!r}\nEPOCHS = 1\nTHREADS = 1\n"
    texts = {"one": ONE, "files": FILES, "several": SEVERAL}
    made = {name: train(place / name, text + said) for name, text in texts.items()}
    data.rename(images)
    return Runs(images=images, data=data, **made)
