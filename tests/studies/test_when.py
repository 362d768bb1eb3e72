"""The study of when saliency beats CAM."""

import json
import shutil
from pathlib import Path

from beyondcam.classifier import read_config
from beyondcam.data import open_images
from beyondcam.files import write_json
from beyondcam.studies.when import FACTORS, Variations, all_variations
from conftest import complaint, make_folder
from studies.conftest import Studied, settings_of


def few_variations(epochs: int) -> Variations:
    """Two factors with two values each."""
    every = all_variations(epochs)
    return {"number": {1: every["number"][1], 3: None}, "input": {1: None, 2: every["input"][2]}}


def test_one_factor_is_varied_at_a_time_on_the_digits(tmp_path: Path, studied: Studied) -> None:
    study = studied("when", None, variations=few_variations)
    by_value, _, by_fold = study["tables"]
    assert [row[0] for row in by_value["rows"]] == [
        "mean number of digits: 1", "mean number of digits: 3",
        "input of the whole image, training sizes: 1", "input of the whole image, training sizes: 2",
    ]  # fmt: skip
    usual, again, larger = (row[1:] for row in by_value["rows"][1:])
    assert usual == again
    assert larger[:2] == usual[:2]  # the same classifier
    assert larger[2:4] != usual[2:4]
    assert larger[4:6] == usual[4:6]  # crops are not changed
    assert read_config(tmp_path / "number-1")[0].data == "digits:objects=1-1"
    assert len(by_fold["rows"]) == 2
    assert "Rule of thumb" in study["statement"]


def test_variations_are_valid_settings() -> None:
    assert {*settings_of("when").quick} < {*all_variations(14)} == {*FACTORS}
    for values in all_variations(14).values():
        assert len(values) >= 2
        assert sum(variation is None for variation in values.values()) == 1
        for variation in filter(None, values.values()):
            assert (variation.size != 1) != bool(variation.changes)
            if "data" in variation.changes:
                assert len(open_images(variation.changes["data"], "val_4").ids) == 4


def test_the_rule_is_fitted_on_the_other_runs(run: Path, studied: Studied, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    config = json.loads((other / "config.json").read_text())
    config["train"]["data"] = f"folder:{make_folder(tmp_path / 'others')}"
    write_json(other / "config.json", config)
    complaint(lambda: studied("when", run, (run,)), "beside: has no other photos")
    study = studied("when", run, (other,))
    assert f"objects of {other}" in study["statement"]
    assert [row[0] for row in study["tables"][2]["rows"]] == ["this RUN"]
    assert {row[0] for row in study["tables"][0]["rows"]} <= {"red", "blue"}
