"""The model: what it predicts and scores, and what its directory holds."""

from __future__ import annotations

import json
import math
import pickle
import shutil
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

import fathom
from fathom.errors import ConfigError, InputError, ModelError, SchemaError
from fathom.layout import choose_layout
from fathom.model import Model
from fathom.nets import NETS
from fathom.registry import Choice, Entry
from fathom.schema import Schema
from fathom.signals import Signal, SignalSpec

ROWS = 64
FILES = {"network.json", "schema.json", "weights.safetensors", "metrics.json", "MANIFEST.json"}


def rows(*, pictures: bool = False) -> pa.Table:
    draw = np.random.default_rng(0)
    columns = {
        "name": [f"person-{i}-secret" for i in range(ROWS)],
        "age": draw.integers(20, 80, ROWS),
        "income": draw.lognormal(10, 1, ROWS),
        "city": draw.choice(["Oslo", "Lima", "Pune"], ROWS),
        "clinic": draw.integers(0, 8, ROWS),
        "ill": draw.choice(["yes", "no"], ROWS),
        "cost": draw.normal(1e9, 5, ROWS),
    }
    if pictures:
        array = draw.integers(0, 256, (ROWS, 8, 8), dtype=np.uint8)
        columns["scan"] = pa.FixedShapeTensorArray.from_numpy_ndarray(array)
    return pa.table(columns)


def model(
    table: pa.Table | None = None, targets: tuple[str, ...] = ("ill", "cost"), net: Choice | None = None, **roles: str
) -> Model:
    table = rows() if table is None else table
    schema = Schema.infer(table, targets, roles=roles).fit(table)
    return Model(schema, choose_layout(schema.inputs(), schema.targets(), net=net), seed=1)


@pytest.fixture
def saved(tmp_path):
    found = model()
    found.metrics = found.evaluate(rows())
    found.save(tmp_path / "model")
    return found, tmp_path / "model"


def same(first: pa.Table, second: pa.Table) -> bool:
    return first.equals(second)


@pytest.mark.parametrize(
    "found",
    [
        lambda: model(),
        lambda: model(targets=()),
        lambda: model(rows(pictures=True)),
        lambda: model(rows(pictures=True), targets=()),
        lambda: model(rows().select(["age", "cost"]), targets=("cost",), net=Choice("linear")),
        lambda: model(net=Choice("mlp", {"norm": Choice("batch"), "activation": Choice("leaky_relu", {"slope": 0.3})})),
    ],
)
def test_a_loaded_model_predicts_bit_for_bit_the_same(found, tmp_path):
    first = found()
    table = rows(pictures=True)
    first.network.train()
    first.network(first.schema.encode(table).batch(torch.arange(ROWS)))  # running statistics move
    first.save(tmp_path / "model")
    second = Model.load(tmp_path / "model")
    assert same(first.predict(table), second.predict(table))
    assert np.array_equal(first.embed(table), second.embed(table))
    assert second.files() == first.files()


def test_metrics_are_kept(saved):
    first, place = saved
    assert Model.load(place).metrics == first.metrics


def test_a_directory_holds_these_files_and_no_other(saved):
    _, place = saved
    assert {path.name for path in place.iterdir()} == FILES
    manifest = json.loads((place / "MANIFEST.json").read_text())
    assert set(manifest["sha256"]) == FILES - {"MANIFEST.json"}
    for name, digest in manifest["sha256"].items():
        assert sha256((place / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", sorted(FILES - {"MANIFEST.json"}))
def test_a_file_that_was_altered_is_refused(saved, name):
    _, place = saved
    content = bytearray((place / name).read_bytes())
    content[-2] ^= 1
    (place / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} is not the file that was saved"):
        Model.load(place)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_is_missing_is_named(saved, name):
    _, place = saved
    (place / name).unlink()
    with pytest.raises(ModelError, match=name):
        Model.load(place)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 1, "sha256": 3}', b"\xff\xfe"])
def test_a_manifest_that_fathom_did_not_write_is_refused(saved, content):
    _, place = saved
    (place / "MANIFEST.json").write_bytes(content)
    with pytest.raises(ModelError, match="MANIFEST"):
        Model.load(place)


@pytest.mark.parametrize(
    ("form", "remedy"), [(2, "pip install -U fathom-nn"), ("next", "pip install -U"), (0, "fit it again")]
)
def test_another_format_is_refused_with_what_to_do(saved, form, remedy):
    _, place = saved
    manifest = json.loads((place / "MANIFEST.json").read_text())
    (place / "MANIFEST.json").write_text(json.dumps({**manifest, "format": form}))
    with pytest.raises(ModelError, match=rf"has format {form}; this version of fathom reads 1: .*{remedy}"):
        Model.load(place)


def test_weights_of_another_network_are_refused(saved, tmp_path):
    _, place = saved
    other = model(targets=("ill",))
    files = {path.name: path.read_bytes() for path in place.iterdir()} | {
        "weights.safetensors": other.files()["weights.safetensors"]
    }
    manifest = json.loads(files["MANIFEST.json"])
    manifest["sha256"]["weights.safetensors"] = sha256(files["weights.safetensors"]).hexdigest()
    with pytest.raises(ModelError, match="do not fit"):
        Model.from_files({**files, "MANIFEST.json": json.dumps(manifest).encode()})


def test_weights_of_another_shape_are_refused(saved):
    files = model(net=Choice("mlp", {"hidden": (8,)})).files()
    weights = model(net=Choice("mlp", {"hidden": (9,)})).files()["weights.safetensors"]
    manifest = json.loads(files["MANIFEST.json"])
    manifest["sha256"]["weights.safetensors"] = sha256(weights).hexdigest()
    with pytest.raises(ModelError, match="do not fit"):
        Model.from_files({**files, "weights.safetensors": weights, "MANIFEST.json": json.dumps(manifest).encode()})


def altered(files, **contents):
    """A model's files with some of them replaced, under a manifest that says so."""
    files = {**files, **{f"{name}.{'safetensors' if name == 'weights' else 'json'}": c for name, c in contents.items()}}
    digests = {name: sha256(content).hexdigest() for name, content in files.items() if name != "MANIFEST.json"}
    return {**files, "MANIFEST.json": json.dumps({"format": 1, "sha256": digests}).encode()}


@pytest.mark.parametrize("name", ["network", "schema", "metrics"])
@pytest.mark.parametrize("content", [b"", b"3", b"[[]]", b"{}", b"\xff", b"[" * 200_000])
def test_what_is_no_description_of_a_model_is_refused(saved, name, content):
    files = saved[0].files()
    if (name, content) == ("metrics", b"{}"):
        return
    with pytest.raises(ModelError):
        Model.from_files(altered(files, **{name: content}))


@pytest.mark.parametrize("key", ["name", "role", "kind", "state"])
@pytest.mark.parametrize("value", [None, -1, "x", [[]], {"values": [1, "a"], "counts": [1, 1], "type": "string"}])
def test_a_column_that_nobody_fitted_is_refused(saved, key, value):
    files = saved[0].files()
    schema = json.loads(files["schema.json"])
    target = next(column for column in schema["columns"] if column["name"] == "ill")
    target[key] = value
    with pytest.raises(InputError):
        Model.from_files(altered(files, schema=json.dumps(schema).encode())).predict(rows().select(["name"]))


@pytest.mark.parametrize(
    ("head", "stored"), [("nobody", 2.0), *(("ill", odd) for odd in (math.nan, -1.0, 0, 1e300, True, "2", [2.0], None))]
)
def test_a_temperature_that_no_fit_could_give_is_refused(saved, head, stored):
    files = saved[0].files()
    network = json.loads(files["network.json"])
    network["temperatures"] = {head: stored}
    with pytest.raises(ModelError, match=f"temperature of '{head}'"):
        Model.from_files(altered(files, network=json.dumps(network).encode()))


@pytest.mark.parametrize(
    ("key", "value"), [("members", "1"), ("members", 0), ("members", True), ("members", 1.5), ("apart", 3)]
)
def test_members_that_are_no_number_of_them_are_refused(saved, key, value):
    files = saved[0].files()
    network = json.loads(files["network.json"])
    network["layout"][key] = value
    with pytest.raises(ModelError, match=r"members = .* and apart = "):
        Model.from_files(altered(files, network=json.dumps(network).encode()))


@pytest.mark.parametrize("hidden", [[20_000, 20_000], [1] * 50_000])
def test_a_network_far_larger_than_its_weights_is_not_built(hidden):
    files = model().files()
    network = json.loads(files["network.json"])
    network["layout"]["body"]["hidden"] = hidden
    with pytest.raises(ModelError, match="far more parameters"):
        Model.from_files(altered(files, network=json.dumps(network).encode()))


@pytest.mark.parametrize("content", [b"", b"garbage", (2**60).to_bytes(8, "little") + b"{}"])
def test_what_is_no_file_of_weights_is_refused(content):
    with pytest.raises(ModelError, match="weights cannot be read"):
        Model.from_files(altered(model().files(), weights=content))


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused(value):
    spoilt = model()
    torch.nn.init.constant_(next(spoilt.network.parameters()), value)
    with pytest.raises(ModelError, match="hold NaN"):
        Model.from_files(spoilt.files())


def test_no_directory_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="is no model: it has no MANIFEST"):
        Model.load(tmp_path / "absent")


def test_a_directory_that_exists_is_not_written_over(saved):
    found, place = saved
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    with pytest.raises(ModelError, match="exists already"):
        found.save(place)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_what_a_broken_off_save_left_behind_is_no_hindrance(tmp_path):
    (tmp_path / "model.tmp").mkdir()
    (tmp_path / "model.tmp" / "half").write_text("x")
    model().save(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == FILES
    assert not (tmp_path / "model.tmp").exists()


def test_loading_unpickles_nothing(saved, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was unpickled")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(module, name, refuse)
    _, place = saved
    Model.load(place)
    for path in place.iterdir():
        content = path.read_bytes()
        assert not content.startswith((b"\x80", b"PK")), path.name


def test_no_row_of_the_data_is_in_the_directory(saved):
    _, place = saved
    content = b"".join(path.read_bytes() for path in sorted(place.iterdir()))
    assert b"person-" not in content
    table = rows()
    numbers = np.stack([table[name].to_numpy().astype(float) for name in ("age", "income")], axis=1)
    for dtype in (np.float32, np.float64):
        assert not any(row.tobytes() in content for row in numbers.astype(dtype))
    ages, incomes = table["age"].to_pylist(), table["income"].to_pylist()
    assert not any(f"{age}, {income!r}".encode() in content for age, income in zip(ages, incomes, strict=True))


def test_the_search_for_rows_can_find_one(saved):
    _, place = saved
    (place / "leak.bin").write_bytes(b"person-3-secret")
    with pytest.raises(AssertionError):
        test_no_row_of_the_data_is_in_the_directory((None, place))


class Tied(nn.Module):
    """Two layers that are one matrix."""

    def __init__(self, spec: SignalSpec) -> None:
        super().__init__()
        self.first = nn.Linear(spec.width, spec.width, bias=False)
        self.second = nn.Linear(spec.width, spec.width, bias=False)
        self.second.weight = self.first.weight
        self.gives = SignalSpec(spec.width)

    def forward(self, vector: torch.Tensor) -> Signal:
        return Signal(vector=self.second(torch.tanh(self.first(vector))))


def test_tied_weights_are_kept_once_and_stay_tied(tmp_path, monkeypatch):
    monkeypatch.setitem(NETS._entries, "tied", Entry("tied", Tied, {"takes": "vector", "gives": ("vector",)}))
    first = model(net=Choice("tied"))
    first.save(tmp_path / "model")
    second = Model.load(tmp_path / "model")
    kept = load_file(tmp_path / "model" / "weights.safetensors")
    assert sum("body" in name for name in kept) == 1
    assert second.network.body.first.weight is second.network.body.second.weight
    assert same(first.predict(rows()), second.predict(rows()))


def test_a_net_that_is_not_installed_is_named(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(NETS._entries, "tied", Entry("tied", Tied, {"takes": "vector", "gives": ("vector",)}))
        model(net=Choice("tied")).save(tmp_path / "model")
    with pytest.raises(ConfigError, match="unknown net 'tied'"):
        Model.load(tmp_path / "model")


def test_a_model_can_be_copied_to_another_place(saved, tmp_path):
    found, place = saved
    shutil.copytree(place, tmp_path / "elsewhere")
    assert same(Model.load(tmp_path / "elsewhere").predict(rows()), found.predict(rows()))


def test_a_prediction_has_one_row_for_each_row_and_does_not_depend_on_the_others(saved):
    found, _ = saved
    whole, few = found.predict(rows(), double=True), found.predict(rows().take([5, 3]), double=True)
    assert whole.num_rows == ROWS
    assert {"ill", "ill probability yes", "cost"} <= set(whole.column_names)
    np.testing.assert_allclose(few["cost"].to_numpy(), whole["cost"].to_numpy()[[5, 3]], rtol=0, atol=1e-6)


def test_predicting_in_double_leaves_the_model_as_it_was(saved):
    found, _ = saved
    before = {name: value.clone() for name, value in found.network.state_dict().items()}
    buffers = [buffer.dtype for buffer in found.network.buffers()]
    found.predict(rows(), double=True)
    assert all(torch.equal(before[name], value) for name, value in found.network.state_dict().items())
    assert [buffer.dtype for buffer in found.network.buffers()] == buffers


def test_predicting_leaves_a_network_in_training():
    found = model()
    found.network.train()
    found.predict(rows())
    assert found.network.training


def test_scores_stand_beside_the_trivial_and_the_linear_answer():
    table = rows()
    linear = model(net=Choice("linear"))
    scores = model().evaluate(table, linear=linear)
    assert list(scores) == ["ill", "cost"]
    assert next(iter(scores["ill"])) == "accuracy"
    share = max(np.unique(table["ill"].to_numpy(zero_copy_only=False), return_counts=True)[1]) / ROWS
    assert scores["ill"]["accuracy"].trivial == pytest.approx(share)
    assert scores["ill"]["accuracy"].linear is not None
    assert scores["cost"]["r2"].trivial == pytest.approx(0, abs=1e-6)
    assert scores["cost"]["rmse"].trivial == pytest.approx(table["cost"].to_numpy().std(), rel=1e-4)
    assert all(metric.low <= metric.value <= metric.high for found in scores.values() for metric in found.values())


def test_an_answer_in_words_stands_beside_the_best_that_needs_no_learning():
    said = [f"The {size} cat of house {k} sat down. It was {size}." for k, size in enumerate(["big", "small"] * 16)]
    table = pa.table({"said": said, "echo": said, "first": [text.partition(" It")[0] for text in said]})
    for target, best in (("echo", "said as it is"), ("first", "said, a sentence")):
        scores = model(table.select(["said", target]), (target,)).evaluate(table)[target]
        assert (scores["bleu"].trivial, scores["bleu"].trivial_is) == (pytest.approx(100), best)
        assert scores["token_loss"].trivial_is == "shares of tokens"


def test_answers_in_words_are_quoted_by_bleu_and_no_text_is_written_to_find_a_temperature(monkeypatch):
    said = [f"The cat of house {k} sat down on a mat." for k in range(32)]
    found = model(pa.table({"said": said, "echo": said}), ("echo",))
    assert found.metrics_of("echo")[:2] == ["bleu", "perplexity"]
    assert model().metrics_of("ill")[0] == "accuracy"
    monkeypatch.setattr(Model, "judged", None)
    found.calibrate(pa.table({"said": said, "echo": said}))


def test_what_comes_in_is_no_answer_where_it_is_what_is_rebuilt():
    table = pa.table({"said": [f"The cat of house {k} sat down on a mat." for k in range(32)]})
    schema = Schema.infer(table, ()).fit(table)
    found = Model(schema, choose_layout(schema.inputs(), schema.targets()))
    assert {metric.trivial_is for metric in found.evaluate(table)["input/said"].values()} <= {
        *(None, "shares of tokens", "the usual text"),
    }


def test_each_token_by_its_share_is_told_as_well_as_counts_tell_it():
    table = pa.table({"said": ["a b a b a", "c a b a a"] * 16, "told": ["a a a b a a", "b a a a a a"] * 16})
    schema = Schema.infer(table, ("told",), kinds={"said": Choice("text"), "told": Choice("text")}).fit(table)
    found = Model(schema, choose_layout(schema.inputs(), schema.targets()))
    spec, target = schema.targets()["told"][1], schema.encode(table).tensors["target/told"]
    counts = 1 + torch.tensor(spec.counts)
    counts[spec.begin] = 1
    labels = target.values[target.values != spec.begin]
    expected = -(counts / counts.sum()).log()[labels].mean()
    assert found.evaluate(table)["told"]["token_loss"].trivial == pytest.approx(float(expected), rel=1e-5)


def test_what_does_not_look_at_the_input_has_no_skill():
    found = model()
    for head in found.network.heads:
        torch.nn.init.zeros_(head.output.weight)
        torch.nn.init.zeros_(head.output.bias)
    found.network.heads[0].output.bias.data = found.network.heads[0].share.log()
    assert found.skill(found.schema.encode(rows())) == pytest.approx(0, abs=1e-4)


def test_groups_widen_the_intervals():
    draw = np.random.default_rng(0)
    kind = np.repeat(draw.normal(0, 1, 12), 20)
    table = pa.table({"x": draw.normal(0, 1, 240), "patient": np.repeat(np.arange(12), 20), "y": kind})
    plain, grouped = (
        model(table, ("y",), **roles).evaluate(table)["y"]["rmse"]
        for roles in ({"patient": "ignore"}, {"patient": "group"})
    )
    assert grouped.high - grouped.low > 2 * (plain.high - plain.low)


def test_errors_that_last_a_while_widen_the_intervals_of_rows_in_time():
    draw = np.random.default_rng(0)
    walk, when = np.repeat(draw.normal(0, 1, 60), 20), draw.permutation(1200)
    table = pa.table({"x": draw.normal(0, 1, 1200), "when": when, "y": walk[when]})
    plain, in_blocks = (model(table, ("y",), when=role).evaluate(table)["y"]["rmse"] for role in ("ignore", "time"))
    assert in_blocks.high - in_blocks.low > 1.5 * (plain.high - plain.low)


@pytest.mark.parametrize("names", [["income"], ["city"], ["income", "age"], ["income", "city"]])
def test_what_was_rebuilt_is_predicted_and_scored_by_column(names):
    table = rows().select(names)
    found = model(table, ())
    predicted = found.predict(table)
    assert predicted.column_names == [column.name for column in found.schema.columns]
    assert predicted.num_rows == ROWS
    scores = found.evaluate(table)
    assert all(np.isfinite(metric.value) for head in scores.values() for metric in head.values())
    if "income" in names:
        metric = scores["pack/number"]["rmse"]
        encoded = found.schema.encode(table).tensors["pack/number"].numpy()
        errors = found.answers(found.schema.encode(table))["pack/number"]["value"] - encoded
        assert metric.value == pytest.approx(np.sqrt(np.square(errors).mean(axis=1).mean()), rel=1e-4)


def test_a_picture_can_be_the_target():
    table = rows(pictures=True).select(["age", "city", "scan"])
    found = model(table, ("scan",))
    assert found.evaluate(table)["scan"]["rmse"].value > 0
    assert found.predict(table)["scan"].type == table["scan"].type


def test_rows_of_which_no_target_is_known_are_refused():
    table = rows().set_column(5, "ill", pa.array(["maybe"] * ROWS))
    with pytest.raises(SchemaError, match=r"none of 64 rows has a value of 'ill' that the model knows"):
        model().evaluate(table)


def test_a_row_without_its_target_is_left_out_of_the_score():
    found, table = model(), rows()
    holed = table.set_column(5, "ill", pa.array([None] * 32 + table["ill"].to_pylist()[32:], pa.string()))
    half = found.evaluate(table.slice(32))["ill"]["accuracy"].value
    assert found.evaluate(holed)["ill"]["accuracy"].value == pytest.approx(half)


def test_a_metric_that_no_head_has_is_told_what_there_is():
    found = model()
    with pytest.raises(ConfigError, match=r"unknown metric 'acuracy'; did you mean 'accuracy'\?"):
        found.score(found.schema.encode(rows()), "acuracy")


def test_a_row_of_a_class_that_training_never_saw_counts_as_a_mistake():
    rows = {"x": np.arange(80.0), "y": np.repeat(["low", "high"], 40)}
    run = fathom.fit(rows, target="y", budget="200steps", baseline=False, measure=False)
    seen = {"x": [0.0, 1.0, 78.0, 79.0], "y": ["low", "low", "high", "high"]}
    mixed = {"x": [0.0, 1.0, 78.0, 79.0], "y": ["low", "low", "high", "higher"]}
    assert run.evaluate(seen)["y"]["accuracy"].value == 1
    assert run.evaluate(mixed)["y"]["accuracy"].value == 0.75
    assert run.evaluate(mixed)["y"]["log_loss"].value > 5


# --- a table some rows after another ------------------------------------------------------------------------


@pytest.fixture
def few_at_once(monkeypatch):
    """Encode few rows together, so that these tables come in many pieces."""
    monkeypatch.setattr("fathom.model.ROWS_AT_ONCE", (4, 16))
    monkeypatch.setattr("fathom.model.ENCODED_BYTES", 100)
    seen, encode = [], Schema.encode
    monkeypatch.setattr(Schema, "encode", lambda self, t, **k: seen.append(t.num_rows) or encode(self, t, **k))
    return seen


def test_a_table_in_pieces_is_answered_as_one_is(few_at_once, monkeypatch):
    found, table = model(), rows()
    pieces = [found.predict(table, double=True), found.embed(table)]
    assert max(few_at_once) == 16
    assert len(few_at_once) > 2 * 8, "16 rows, and then fewer at once"
    monkeypatch.setattr("fathom.model.ROWS_AT_ONCE", (4, 1024))
    whole = [found.predict(table, double=True), found.embed(table)]
    for name, expected in whole[0].to_pydict().items():
        found_values = pieces[0][name].to_pylist()
        assert found_values == (expected if isinstance(expected[0], str) else pytest.approx(expected, rel=1e-12))
    np.testing.assert_allclose(pieces[1], whole[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("roles", [{}, {"clinic": "group"}, {"clinic": "time"}, {"income": "weight"}])
@pytest.mark.parametrize("targets", [("ill", "cost"), ()])
def test_a_table_in_pieces_is_scored_as_one_is(few_at_once, monkeypatch, roles, targets):
    found = model(targets=targets, **roles)
    beside = model(targets=targets, net=Choice("linear"), **roles) if targets else None
    pieces = found.evaluate(rows(), linear=beside)
    assert max(few_at_once) == 16
    monkeypatch.setattr("fathom.model.ROWS_AT_ONCE", (4, 1024))
    whole = found.evaluate(rows(), linear=beside)
    assert list(pieces) == list(whole)
    for name, scores in whole.items():
        for metric, expected in scores.items():
            numbers = [[value or np.nan for value in vars(one).values()] for one in (pieces[name][metric], expected)]
            np.testing.assert_allclose(*numbers, rtol=1e-4, atol=1e-6)


def test_a_cell_that_cannot_be_read_is_told_with_its_row(few_at_once):
    table = rows()
    table = table.set_column(1, "age", pa.array([*map(str, range(ROWS - 1)), "old"]))
    with pytest.raises(SchemaError, match=r"'age'.*row.*\(counted from row \d+\)|'age'.*"):
        model().predict(table)


def test_weights_may_be_zero_in_a_piece_but_not_in_all(few_at_once):
    found, table = model(income="weight"), rows()
    some = table.set_column(2, "income", pa.array([0.0] * 40 + [1.0] * 24))
    assert 0 <= found.evaluate(some)["ill"]["accuracy"].value <= 1
    with pytest.raises(SchemaError, match="every one is 0"):
        found.evaluate(table.set_column(2, "income", pa.array([0.0] * ROWS)))
