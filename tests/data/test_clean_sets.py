"""Real sets, as people have them, are read with their parts and targets, and nothing alarms."""

from __future__ import annotations

from pathlib import Path

import pytest

from fathom.data import read
from fathom.errors import SourceError

OWN_SPLIT = "the source's own split is used"
CLASSES = "the label is the outer folder's name"
BESIDE = "left out, being no picture"
COLUMNS = "columns of (dev|test).jsonl that train.jsonl lacks are left out: ann0, ann1, ann2"

READ = [
    # place, rows of each part, target, how its notes begin
    ("vision/fashion_mnist", {"train": 60000, "test": 10000}, ("label",), [OWN_SPLIT]),
    ("vision/cifar10_12k.zip", {"train": 10000, "test": 2000}, ("label",), [OWN_SPLIT]),
    ("vision/gtsrb10", {"train": 1200, "test": 300}, ("label",), [OWN_SPLIT, BESIDE]),
    ("vision/gtsrb10/train", {"train": 1200}, ("label",), []),
    ("vision/flowers128", {"train": 1500}, ("label",), []),
    ("vision/flowers128/rose", {"train": 300}, (), []),
    ("vision/orl_faces", {"train": 400}, ("label",), []),
    ("vision/omniglot/images_background_small1.zip", {"train": 2720}, ("label",), [CLASSES]),
    ("vision/omniglot/one_shot_all_runs.zip", {"train": 800}, ("label",), [CLASSES, BESIDE]),
    ("medical", {"train": 4708, "valid": 524, "test": 624}, ("labels",), [OWN_SPLIT]),
    ("medical/pneumoniamnist.npz", {"train": 4708, "valid": 524, "test": 624}, ("labels",), [OWN_SPLIT]),
    ("pointcloud/modelnet10_voxels30.npz", {"train": 3991, "test": 908}, ("y",), [OWN_SPLIT]),
    ("driving/udacity_sim", {"train": 811}, (), []),
    ("driving/udacity_sim/IMG", {"train": 811}, (), []),
    ("text/banking77", {"train": 10003, "test": 3080}, (), [OWN_SPLIT]),
    ("text/aeslc", {"train": 6000, "valid": 1000, "test": 1000}, (), ["columns of dev", "columns of test", OWN_SPLIT]),
    ("text/aeslc/train.jsonl", {"train": 6000}, (), []),
    ("text/aeslc/dev.jsonl", {"train": 1000}, (), []),
]


@pytest.mark.parametrize(("place", "rows", "target", "notes"), READ, ids=[place for place, *_ in READ])
def test_a_real_set_is_read_with_its_parts_and_target(
    data_directory: Path, place: str, rows: dict[str, int], target: tuple[str, ...], notes: list[str]
) -> None:
    source = read(data_directory / place)
    assert {part: table.num_rows for part, table in source.parts.items()} == rows
    assert source.target == target
    assert len(source.notes) == len(notes)
    assert all(said.startswith(begin) for said, begin in zip(source.notes, notes, strict=True)), source.notes


def test_the_sentences_of_sst2_have_no_header_in_any_part(data_directory: Path) -> None:
    source = read(data_directory / "text/sst2")
    assert {part: table.num_rows for part, table in source.parts.items()} == {"train": 6920, "valid": 872, "test": 1821}
    assert source.parts["test"].column_names == ["column_1", "column_2"]
    assert len(source.notes) == 2
    assert source.notes[1].endswith("; likewise 2 more")
    named = read(data_directory / "text/sst2", columns=("sentence", "label"))
    assert named.parts["test"].column_names == ["sentence", "label"]
    assert len(named.notes) == 1


def test_adult_in_a_folder_of_its_own_is_train_and_test(data_directory: Path, tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / f"adult_{part}.csv").symlink_to(data_directory / f"tabular/adult_{part}.csv")
    source = read(tmp_path)
    assert {part: table.num_rows for part, table in source.parts.items()} == {"train": 32561, "test": 16281}
    assert source.parts["train"].schema.types == source.parts["test"].schema.types


def test_the_136_characters_of_omniglot_are_classes_where_they_are_asked_for(data_directory: Path) -> None:
    source = read(data_directory / "vision/omniglot/images_background_small1.zip", label="full")
    labels = source.parts["train"]["label"].value_counts().to_pylist()
    assert len(labels) == 136
    assert {found["counts"] for found in labels} == {20}


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("tabular", "holds 14 tables .* name one of them: abalone.csv"),
        ("text/ag_news", "name one of them: noisy_labels_10k.csv, test.csv, train_sample.csv"),
        ("timeseries/ett", "name one of them: ETTh1.csv, ETTm1.csv"),
        ("timeseries/nab/realKnownCause", "holds 7 tables"),
        ("vision/omniglot", "images_background_small1.zip, one_shot_all_runs.zip"),
        ("text", "name one of: aeslc, ag_news, banking77"),
    ],
)
def test_a_folder_of_several_sets_is_refused_with_their_names(data_directory: Path, place: str, named: str) -> None:
    with pytest.raises(SourceError, match=named):
        read(data_directory / place)
