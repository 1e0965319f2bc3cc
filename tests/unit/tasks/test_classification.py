"""What a run trains: heads, parts, cached activations with the results of the whole model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, LlamaConfig, LlamaForCausalLM

from lmodp.data.prepare_dataset import prepare_dataset
from lmodp.data.tokenize_dataset import tokenize_dataset
from lmodp.data.tokens import load_tokenizer
from lmodp.mechanisms import Gaussian
from lmodp.models.embedded import tiny_tokenizer
from lmodp.models.folders import write_model
from lmodp.models.prepare_model import prepare_model
from lmodp.plan import Plan
from lmodp.specs import ActivationsSpec, TaskSpec
from lmodp.stages.cache_activations import cache_activations
from lmodp.tasks.accuracy import unpack_correct
from lmodp.tasks.classification import ClassificationTask, predict
from lmodp.training import TrainingSettings, train
from lmodp.training.clipping.engine import ClippingEngine
from lmodp.training.losses import in_precision

SPEC = {"dataset": "made_up", "model": "tiny_roberta", "source": "embedded", "max_length": 12}
TASK = TaskSpec(dataset="made_up", trainable="head", pooling="mean", batch_size=7)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    prepare_dataset(SPEC, folder=folder / "d", cache_root=folder, data_root=None)
    prepare_model(SPEC, folder=folder / "m", cache_root=folder)
    tokenize_dataset(SPEC, dataset_folder=folder / "d", model_folder=folder / "m", folder=folder / "t")
    return folder


def task(prepared, trainable, cached=False, tmp_path=None):
    spec = replace(TASK, trainable=trainable)
    if cached:
        prefix = ActivationsSpec(**SPEC, model_source=None, layers=None, trainable=trainable, pooling="mean", threads=1)
        cache_activations({tmp_path: prefix}, tokens_folder=prepared / "t", model_folder=prepared / "m")
    return ClassificationTask(
        spec, model_folder=prepared / "m", tokens_folder=prepared / "t", activations_folder=tmp_path if cached else None
    )


@pytest.mark.parametrize("trainable", ["head", {"last_layers": 1}])
def test_cached_activations_give_the_logits_of_the_whole_model(prepared, tmp_path, trainable):
    whole, cached = task(prepared, trainable), task(prepared, trainable, True, tmp_path)
    _, running, _ = whole.model(3)
    _, rest, _ = cached.model(3)
    logits, labels = predict(running, whole.examples("test"), 9)
    again, same = predict(rest, cached.examples("test"), 9)
    np.testing.assert_allclose(again, logits, atol=2e-6)
    np.testing.assert_array_equal(same, labels)


def test_training_the_rest_trains_the_model(prepared, tmp_path):
    model, rest, summary = task(prepared, {"last_layers": 1}, True, tmp_path).model(0)
    inside = {id(value) for value in model.parameters() if value.requires_grad}
    assert inside and inside == {id(value) for value in rest.parameters() if value.requires_grad}
    assert summary["trainable"] == sum(value.numel() for value in model.parameters() if value.requires_grad)


def test_a_head_is_a_function_of_its_seed_alone(prepared):
    one = task(prepared, "head")
    first, again, other = (one.model(seed)[0].state_dict() for seed in (4, 4, 5))
    assert all(torch.equal(first[name], again[name]) for name in first)
    changed = {name for name in first if not torch.equal(first[name], other[name])}
    assert changed == {"model.classifier.dense.weight", "model.classifier.out_proj.weight"}


@pytest.mark.parametrize("trainable", ["head", {"lora": {"rank": 2}}, "full"])
def test_repetitions_share_what_is_frozen_and_nothing_else(prepared, trainable):
    one = task(prepared, trainable)
    kept, (first, _, _), (other, _, _) = one.pretrained, one.model(4), one.model(5)
    for (name, value), its in zip(first.named_parameters(), other.parameters(), strict=True):
        assert (value is its) is (not value.requires_grad), name
    assert not {id(value) for value in kept.parameters()} & {id(v) for v in first.parameters() if v.requires_grad}


def test_scores_are_those_of_the_predictions(prepared):
    one = task(prepared, "head")
    _, running, _ = one.model(1)
    scores = one.score(running)
    logits, labels = predict(running, one.examples("test"), 64)
    right = logits.argmax(1) == labels
    assert scores["examples"] == 64 and scores["accuracy"] == right.mean()
    np.testing.assert_array_equal(unpack_correct(scores["correct"], 64), right)
    assert 0 < right.sum() < 64


HALF = replace(TASK, trainable={"lora": {"rank": 2, "alpha": 4}}, precision="bfloat16")


@pytest.fixture(scope="module")
def llama(prepared):
    """A tiny Llama with the same tokenizer, whose padding token is of its own."""
    tokenizer = load_tokenizer(prepared / "m")
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
    )
    write_model(LlamaForCausalLM(config), tokenizer, prepared / "l")
    return "l"


def half_task(prepared, folder, **changes):
    return ClassificationTask(
        replace(HALF, **changes), model_folder=prepared / folder, tokens_folder=prepared / "t", activations_folder=None
    )


@pytest.mark.parametrize(("folder", "pooling"), [("m", "mean"), ("l", "last")])
def test_adapters_in_half_precision(prepared, llama, folder, pooling):
    """Frozen weights take two bytes; what is trained, its norms and the noisy sum have four."""
    made = half_task(prepared, folder, pooling=pooling)
    model, running, _ = made.model(7)
    trained = {name: value for name, value in running.named_parameters() if value.requires_grad}
    assert any("lora_" in name for name in trained) and any(
        "lora_" not in name for name in trained
    )  # adapters and the new head
    assert {value.dtype for value in trained.values()} == {torch.float32}
    assert {value.dtype for value in running.parameters() if not value.requires_grad} == {torch.bfloat16}
    pretrained = {id(value) for value in made.pretrained.parameters()}
    own = {name for name, value in running.named_parameters() if id(value) not in pretrained}
    assert own == set(trained), "what is frozen is not copied, and nothing that is shared is trained"
    plan = Plan.for_batches(
        expected_batch_size=48, dataset_size=192, steps=3, delta=1e-5, noise=Gaussian(std=0.5), clip_norm=0.7
    )
    watch = Dtypes()
    result = train(
        running,
        plan=plan,
        examples=made.examples("train"),
        loss=made.loss,
        hooks=[watch],
        seeds={"sampling": 1, "dropout": 1, "noise": 1},
        settings=TrainingSettings(learning_rate=1e-3, micro_batch_size=16, precision="bfloat16"),
    )
    assert watch.seen == {torch.float32}
    assert len(result.record["clipped"]) == 3 and 0 < made.score(model)["accuracy"] < 1


class Dtypes:
    """A hook that notes the kind of number that sums and released sums are kept in."""

    def __init__(self):
        self.seen = set()

    def before_noise(self, step, parameters):
        self.seen |= {value.grad.dtype for value in parameters}

    def after_noise(self, step, parameters, scale):
        self.before_noise(step, parameters)

    def state(self):
        return {}

    def restore(self, state):
        pass


def test_norms_in_half_precision_are_those_of_float32(prepared, llama):
    """The passes are rounded, the norms are not: half precision moves them by its own rounding only."""
    norms = []
    for precision in ("float32", "bfloat16"):
        made = half_task(prepared, "l", pooling="last", precision=precision)
        _, running, _ = made.model(7)
        engine = ClippingEngine(running, clip_norm=1.0, clipping="flat")
        found = engine.accumulate(in_precision(made.loss, precision), made.examples("train").batch(np.arange(8)), 8)
        assert found.norms.dtype == torch.float32
        norms.append(found.norms)
    torch.testing.assert_close(norms[1], norms[0], rtol=0.05, atol=0.0)
    assert not torch.equal(norms[0], norms[1])


@pytest.mark.parametrize(
    ("part", "precision"), [("head", "bfloat16"), ({"last_layers": 1}, "bfloat16"), ({"lora": {"rank": 2}}, "float32")]
)
def test_everything_else_keeps_four_bytes(prepared, part, precision):
    made = half_task(prepared, "m", trainable=part, precision=precision)
    assert {value.dtype for value in made.model(7)[0].parameters()} == {torch.float32}
    assert 0 < made.score(made.model(7)[1])["accuracy"] < 1


@pytest.mark.parametrize("saved", [BertForMaskedLM, BertForSequenceClassification])
def test_what_the_files_lack_is_the_same_in_every_process(tmp_path, saved):
    """A masked language model has no pooler; a classifier's own head has another number of classes."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    write_model(saved(BertConfig(vocab_size=300, pad_token_id=0, num_labels=5, **sizes)), tiny_tokenizer(), tmp_path)
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        one = ClassificationTask(TASK, model_folder=tmp_path, tokens_folder=tmp_path, activations_folder=None)
        states.append(one.model(3)[0].state_dict())
    first, second = states
    assert first["model.classifier.weight"].shape == (2, 16)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("again", [False, True])
def test_blocks_are_computed_again_where_a_cell_asks_for_it(prepared, again):
    made = ClassificationTask(
        replace(TASK, trainable="full", activation_checkpointing=again),
        model_folder=prepared / "m",
        tokens_folder=prepared / "t",
        activations_folder=None,
    )
    model, running, _ = made.model(7)
    calls = []
    inside = next(module for name, module in model.named_modules() if name.endswith("layer.0.intermediate.dense"))
    inside.register_forward_pre_hook(lambda module, inputs: calls.append(1))
    made.loss(running.train(), made.examples("train").batch(np.arange(4))).sum().backward()
    assert len(calls) == (2 if again else 1)
