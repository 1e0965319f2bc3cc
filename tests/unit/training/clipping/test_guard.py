"""The guard finds what hooks cannot see, at every public door, and refuses nothing that is sound."""

import numpy as np
import pytest
import torch
from torch import nn

from lmodp.errors import Unsupported
from lmodp.training import ClippingEngine, PrivateStep, TensorExamples, TokenColumns, classification_loss
from lmodp.training.clipping.engine import rows_of
from lmodp.training.releases.sums import LOOKED_AT
from tests.oracles.clipping_models import BUILDERS, build, explicit_gradients, joint_norm, make_batch
from tests.unit.training.small import Classifier, make_examples, make_model, make_plan, make_settings

KEYS = {name: "0" * 64 for name in ("sampling", "dropout", "noise")}


def by_engine(model, examples, loss=classification_loss):
    """The exported engine, on the first micro-batch that it is given."""
    size = min(6, len(examples))
    ClippingEngine(model.train(), clip_norm=0.1, clipping="flat").accumulate(
        loss, examples.batch(np.arange(size)), size
    )


def by_step(model, examples, loss=classification_loss):
    """The step of a run, before the run."""
    plan = make_plan(dataset_size=len(examples))
    PrivateStep(model, plan=plan, examples=examples, loss=loss, settings=make_settings(), keys=KEYS)


DOORS = pytest.mark.parametrize("door", [by_engine, by_step])


class UsesWeightElsewhere(Classifier):
    def forward(self, x):
        return super().forward(x) + (x @ self.first.weight.T)[:, :3]


class MixesAlways(Classifier):
    def forward(self, x):
        return super().forward(x - 0.5 * x.flip(0))


class MixesALittle(Classifier):
    def forward(self, x):
        return super().forward(x + 0.01 * x.mean(0))


class MixesInTraining(Classifier):
    def forward(self, x):
        return super().forward(x - x.mean(0) if self.training else x)


class MixesFromThree(Classifier):
    def forward(self, x):
        return super().forward(x - x.mean(0) if len(x) > 2 else x)


class MixesTheFirst(Classifier):
    """The first example of a batch is read by all others; it does not change itself."""

    def forward(self, x):
        return super().forward(torch.cat([x[:1], x[1:] + x[:1]]))


MIXING = [UsesWeightElsewhere, MixesAlways, MixesALittle, MixesInTraining, MixesFromThree, MixesTheFirst]


@DOORS
@pytest.mark.parametrize("kind", MIXING)
def test_what_is_not_an_examples_own_is_refused(kind, door):
    torch.manual_seed(2)
    with pytest.raises(Unsupported, match="used outside its layer, or a layer mixes the examples"):
        door(kind(), make_examples())


@pytest.mark.parametrize("blind", [np.nan, 0.0, np.inf])
@DOORS
def test_examples_without_a_gradient_do_not_hide_it(door, blind):
    """The first two show nothing: their loss is multiplied by 0, infinity or nan."""
    examples = make_examples()
    weight = torch.ones(len(examples))
    weight[:2] = blind

    def loss(model, batch):
        return classification_loss(model, {"x": batch["x"], "labels": batch["labels"]}) * batch["weight"]

    torch.manual_seed(2)
    with pytest.raises(Unsupported, match="mixes the examples"):
        door(MixesAlways(), TensorExamples({**examples.tensors, "weight": weight}), loss)


def test_it_goes_on_looking_where_the_first_and_last_examples_have_no_gradient():
    size = LOOKED_AT + 9
    x = torch.randn(size, 6, generator=torch.Generator().manual_seed(1))
    x[: LOOKED_AT // 2], x[-LOOKED_AT // 2 :] = 0, 0
    examples = TensorExamples({"x": x, "labels": torch.zeros(size, dtype=torch.long)})

    def loss(model, batch):
        return model(batch["x"]).sum(1) * batch["x"].abs().sum(1)

    torch.manual_seed(2)
    settings, plan = make_settings(micro_batch_size=40), make_plan(dataset_size=size, sampling_rate=1.0)
    step = PrivateStep(MixesAlways(), plan=plan, examples=examples, loss=loss, settings=settings, keys=KEYS)
    with pytest.raises(Unsupported, match="mixes the examples"):
        step.sum_clipped(0)


class Table(nn.Module):
    """One matrix on the examples and on a table without a batch dimension, as relative positions are."""

    def __init__(self, rows):
        super().__init__()
        self.key, self.out = nn.Linear(6, 6, bias=False), nn.Linear(6, 2)
        self.table = nn.Parameter(torch.randn(rows, 6), requires_grad=False)

    def forward(self, x):
        return self.out(torch.softmax(self.key(x) @ self.key(self.table).T, -1) @ self.table).mean(1)


@DOORS
@pytest.mark.parametrize("rows", [2, 3, 4, 5, 6, 8, 12])
def test_a_table_of_as_many_rows_as_examples_is_no_batch(rows, door):
    torch.manual_seed(0)
    x, labels = torch.randn(24, 5, 6), torch.randint(0, 2, (24,))
    with pytest.raises(Unsupported, match=r"saw a tensor of shape|used outside its layer"):
        door(Table(rows), TensorExamples({"x": x, "labels": labels}))


class Prompt(nn.Module):
    """A learned prompt, looked up once and repeated for the batch; or one look-up an example."""

    def __init__(self, repeats):
        super().__init__()
        self.repeats, self.prompt, self.out = repeats, nn.Embedding(3, 6), nn.Linear(6, 2)

    def forward(self, x):
        rows = torch.arange(3)[None]
        if self.repeats:
            prompt = self.prompt(rows).repeat(len(x), 1, 1)
        else:
            prompt = self.prompt(rows.repeat(len(x), 1))
        return self.out(torch.tanh(torch.cat([prompt, x], 1))).mean(1)


def test_a_row_that_the_model_repeats_is_told_and_repeated_input_is_right():
    torch.manual_seed(0)
    examples = TensorExamples({"x": torch.randn(6, 5, 6), "labels": torch.randint(0, 2, (6,))})
    with pytest.raises(Unsupported, match="Repeat the layer's input instead"):
        by_engine(Prompt(repeats=True), examples)
    by_engine(Prompt(repeats=False), examples)


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm1d(5), nn.SyncBatchNorm(5), nn.InstanceNorm1d(5, track_running_stats=True)]
)
@pytest.mark.parametrize("frozen", [True, False])
def test_batch_norms_are_refused_by_class(layer, frozen):
    model = nn.Sequential(nn.Linear(6, 5), layer.requires_grad_(not frozen), nn.Linear(5, 3)).eval()
    with pytest.raises(Unsupported, match=rf"1 \({type(layer).__name__}\)"):
        ClippingEngine(model, clip_norm=1.0, clipping="flat")
    if frozen:
        ClippingEngine(nn.Sequential(nn.Linear(6, 5), nn.InstanceNorm1d(5)), clip_norm=1.0, clipping="flat")


class Padded(nn.Module):
    """Averages over all positions, padding included, or over an example's own."""

    def __init__(self, masked):
        super().__init__()
        self.masked, self.table, self.out = masked, nn.Embedding(20, 6, padding_idx=0), nn.Linear(6, 3)

    def forward(self, input_ids, attention_mask):
        weight = attention_mask if self.masked else torch.ones_like(attention_mask)
        hidden = torch.tanh(self.table(input_ids) + 1.0) * weight[..., None]
        return self.out(hidden.sum(1) / weight.sum(1, keepdim=True))


def test_a_model_that_sees_its_neighbours_padding_is_refused():
    draw = np.random.default_rng(0)
    rows = [draw.integers(1, 20, size=3 + number % 4) for number in range(12)]
    examples = TokenColumns({"input_ids": rows}, padding={"input_ids": 0}, values={"labels": draw.integers(0, 3, 12)})
    torch.manual_seed(1)
    by_step(Padded(masked=True), examples)
    with pytest.raises(Unsupported, match="padding included"):
        by_step(Padded(masked=False), examples)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_architecture_passes(name):
    model, loss, labels = build(name, dtype=torch.float32)
    engine = ClippingEngine(model, clip_norm=0.1, clipping="flat")
    assert engine.check(loss, rows_of(make_batch(labels, [5, 3, 6, 2]), 4), range(4))


class DropsEverywhere(Classifier):
    """Dropout as a layer, as a function, inside torch's attention and inside a layer of it."""

    def __init__(self):
        super().__init__(dropout=0.5)
        self.heads = nn.MultiheadAttention(6, 2, dropout=0.4, batch_first=True).requires_grad_(False)

    def forward(self, x):
        x = nn.functional.dropout(x, 0.3, self.training)
        rows = torch.stack([x, 2 * x], 1)
        rows = nn.functional.scaled_dot_product_attention(rows, rows, rows, dropout_p=0.3 * self.training)
        rows = nn.functional.scaled_dot_product_attention(rows, rows, rows, None, 0.3 * self.training)
        return super().forward(self.heads(rows, rows, rows)[0].sum(1))


def test_dropout_is_no_mixing_and_the_random_stream_goes_on_as_it_was():
    model, examples = DropsEverywhere().train(), make_examples()
    engine = ClippingEngine(model, clip_norm=0.1, clipping="flat")
    before = torch.get_rng_state()
    assert engine.check(classification_loss, examples.batch, range(5))
    assert model.training and all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_sums_of_earlier_micro_batches_stay():
    model, examples = make_model(), make_examples()
    engine = ClippingEngine(model, clip_norm=0.1, clipping="flat")
    engine.accumulate(classification_loss, examples.batch([0]), 1)
    held = [parameter.grad.clone() for parameter in engine.parameters]
    assert engine.check(classification_loss, examples.batch, range(3))  # more examples: the guard looks again
    assert all(torch.equal(one, parameter.grad) for one, parameter in zip(held, engine.parameters, strict=True))


def test_once_it_has_seen_enough_it_looks_no_more():
    calls = []

    def loss(model, batch):
        calls.append(len(batch["labels"]))
        return classification_loss(model, batch)

    engine = ClippingEngine(make_model(), clip_norm=0.1, clipping="flat")
    engine.accumulate(loss, make_examples().batch(range(9)), 9)
    calls.clear()
    for size in (9, 1, 2, 5):
        engine.accumulate(loss, make_examples().batch(range(size)), size)
    assert calls == [9, 1, 2, 5]


def test_vanishing_gradients_pass():
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))
    engine = ClippingEngine(model, clip_norm=1.0, clipping="flat")
    for factor, seen in ((0.0, False), (1e-9, False), (1.0, True)):
        loss = lambda model, batch, factor=factor: factor * model(batch["x"]).sum(1)  # noqa: E731
        assert engine.check(loss, rows_of({"x": torch.randn(4, 6)}, 4), range(4)) is seen


class NeedsTwo(Classifier):
    """Fails on a single example, as a model that drops dimensions of length one does."""

    def forward(self, x):
        if len(x) == 1:
            raise ValueError("too few examples")
        return super().forward(x)


def test_a_model_that_needs_two_examples_gets_two_and_adds_one():
    sums = []
    for kind in (NeedsTwo, Classifier):
        torch.manual_seed(4)
        engine = ClippingEngine(kind(), clip_norm=0.1, clipping="flat")
        found = engine.accumulate(classification_loss, make_examples().batch([7]), 1)
        assert found.losses.shape == found.norms.shape == found.factors.shape == (1,)
        sums.append(torch.cat([parameter.grad.flatten() for parameter in engine.parameters]))
    torch.testing.assert_close(*sums)


@pytest.mark.parametrize("padding_idx", [4, -1])
def test_a_padding_row_has_no_gradient(padding_idx):
    """Also where the number was set later and counts from the end, as torch allows."""
    torch.manual_seed(3)
    model = Padded(masked=False).double()
    model.table.padding_idx = padding_idx
    ids = torch.tensor([[4, 19, 7], [19, 19, 4], [5, 4, 19]])
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.tensor([0, 1, 2])}
    engine = ClippingEngine(model, clip_norm=1e9, clipping="flat")
    found = engine.accumulate(classification_loss, batch, 3)
    norms = torch.stack([joint_norm(one) for one in explicit_gradients(model, classification_loss, batch)])
    torch.testing.assert_close(found.norms, norms)


def test_the_loss_of_a_single_example_may_have_no_dimension():
    engine = ClippingEngine(make_model(), clip_norm=0.1, clipping="flat")
    squeezed = lambda model, batch: classification_loss(model, batch).squeeze()  # noqa: E731
    assert engine.accumulate(squeezed, make_examples().batch([0]), 1).losses.shape == (1,)
