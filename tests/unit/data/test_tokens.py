"""Tokens: pairs, truncation, targets of the loss, and the refusals."""

import sys

import pytest
from datasets import Dataset, DatasetDict
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BloomConfig, GPT2Config, PreTrainedTokenizerFast, RobertaConfig, XLMRobertaConfig

from lmodp.data.tokenize_dataset import position_limit, tokenize_dataset
from lmodp.data.tokens import NO_TARGET, load_tokenizer, load_tokens, prompt_tokens
from lmodp.errors import DamagedFile, InvalidValue, MissingFile
from lmodp.models.embedded import tiny_tokenizer

WORDS = ["<e>", "<s>", "<u>", "a", "b", "c", ":", "|"]


def word_tokenizer(**special):
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<u>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<u>", **special)


def prepared(folder, tokenizer, config, **columns):
    tokenizer.save_pretrained(folder / "model")
    config.save_pretrained(folder / "model")
    DatasetDict({"train": Dataset.from_dict(columns)}).save_to_disk(str(folder / "data"))
    return {"dataset_folder": folder / "data", "model_folder": folder / "model", "folder": folder / "tokens"}


def records(folder, limit, **columns):
    values = columns or {"record": ["a : b", "a : c | b : c"], "text": ["b b", "a"]}
    places = prepared(folder, word_tokenizer(bos_token="<e>", eos_token="<e>"), GPT2Config(n_positions=16), **values)
    return tokenize_dataset({"max_length": limit}, **places), load_tokens(places["folder"], "train")


def test_only_the_sentence_and_its_end_are_targets(tmp_path):
    record, split = records(tmp_path, 16)
    assert [row.tolist() for row in split.rows()] == [[3, 6, 4, 0, 4, 4, 0], [3, 6, 5, 7, 4, 6, 5, 0, 3, 0]]
    assert [row.tolist() for row in split.target_rows()] == [
        [NO_TARGET] * 4 + [4, 4, 0],
        [NO_TARGET] * 8 + [3, 0],
    ]
    assert record["splits"]["train"] == {
        "examples": 2,
        "truncated": 0,
        "tokens": 17,
        "longest": 10,
        "mean_length": 8.5,
        "without_target": 0,
    }
    assert split.labels is None and len(split) == 2


def test_examples_cut_before_their_sentence_are_kept_and_counted(tmp_path):
    record, split = records(tmp_path, 6)
    assert [len(row) for row in split.rows()] == [6, 6]
    assert (split.target_rows()[1] == NO_TARGET).all()
    assert record["splits"]["train"]["truncated"] == 2 and record["splits"]["train"]["without_target"] == 1


def test_start_and_end_tokens_apart(tmp_path):
    tokenizer = word_tokenizer(bos_token="<s>", eos_token="<e>")
    assert prompt_tokens(tokenizer, ["a : b"]) == [[1, 3, 6, 4]]  # this tokenizer has no token for a line break
    assert prompt_tokens(tokenizer, []) == []


def test_a_tokenizer_that_cannot_end_or_pad(tmp_path):
    with pytest.raises(InvalidValue, match="eos_token = None: is needed to end a sentence"):
        prompt_tokens(word_tokenizer(), ["a"])
    word_tokenizer().save_pretrained(tmp_path)
    GPT2Config().save_pretrained(tmp_path)
    with pytest.raises(InvalidValue, match="no padding token: batches cannot be padded. Set pad_token"):
        load_tokenizer(tmp_path)


def test_the_end_token_stands_in_for_padding(tmp_path):
    prepared(tmp_path, word_tokenizer(eos_token="<e>"), GPT2Config(), record=["a"], text=["b"])
    assert load_tokenizer(tmp_path / "model").pad_token_id == 0


def test_pairs_are_cut_on_the_longer_side(tmp_path):
    places = prepared(
        tmp_path,
        tiny_tokenizer(),
        RobertaConfig(max_position_embeddings=66, pad_token_id=0),
        sentence=["the film shines", "drags"],
        sentence2=["the film drags in the end", "drags"],
        label=[1, 0],
    )
    record = tokenize_dataset({"max_length": 9}, **places)
    split = load_tokens(places["folder"], "train")
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode(split.rows()[0]) == "<s> the film shines </s> the film drags </s>"
    assert split.labels.tolist() == [1, 0] and split.target_starts is None
    assert record["splits"]["train"]["truncated"] == 1


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        (RobertaConfig(max_position_embeddings=514, pad_token_id=1), 512),
        (RobertaConfig(max_position_embeddings=513, pad_token_id=0), 512),
        (XLMRobertaConfig(max_position_embeddings=514, pad_token_id=1), 512),
        (BertConfig(vocab_size=512, max_position_embeddings=512), 512),
        (GPT2Config(n_positions=100), 100),
        (BloomConfig(), sys.maxsize),  # no table of positions
    ],
)
def test_position_limit(config, limit):
    assert position_limit(config) == limit


@pytest.mark.parametrize("pair", [True, False])
@pytest.mark.parametrize(
    ("config", "typed"), [(BertConfig(), True), (RobertaConfig(type_vocab_size=1, pad_token_id=0), False)]
)
def test_bert_is_told_the_second_sentence(tmp_path, config, typed, pair):
    tokenizer = word_tokenizer(bos_token="<s>", eos_token="<e>", pad_token="<e>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A <e>", pair="<s> $A <e> $B:1 <e>:1", special_tokens=[("<s>", 1), ("<e>", 0)]
    )
    second = {"sentence2": ["c c"]} if pair else {}
    places = prepared(tmp_path, tokenizer, config, sentence=["a b"], label=[1], **second)
    tokenize_dataset({"max_length": 12}, **places)
    columns = {name: rows[0].tolist() for name, rows in load_tokens(places["folder"], "train").columns().items()}
    assert columns["input_ids"] == ([1, 3, 4, 0, 5, 5, 0] if pair else [1, 3, 4, 0])
    assert columns.get("token_type_ids") == ([0, 0, 0, 0, 1, 1, 1] if typed and pair else None)


def test_sequences_past_the_models_limit(tmp_path):
    with pytest.raises(InvalidValue, match="max_length = 17: is more than the model's 16 positions"):
        records(tmp_path, 17)


def test_missing_tokens(tmp_path):
    with pytest.raises(MissingFile, match="Run the stage tokenize_dataset"):
        load_tokens(tmp_path, "train")


def test_a_limit_that_leaves_no_text_is_refused_not_ignored(tmp_path):
    config = RobertaConfig(max_position_embeddings=66, pad_token_id=0)
    for folder, least, second in (("one", 3, {}), ("two", 5, {"sentence2": ["drags"]})):
        places = prepared(tmp_path / folder, tiny_tokenizer(), config, sentence=["the film"], label=[1], **second)
        for limit in (1, 2, least - 1):
            with pytest.raises(
                InvalidValue, match=f"max_length = {limit}: must be at least {least}: .* special tokens"
            ):
                tokenize_dataset({"max_length": limit}, **places)
        assert tokenize_dataset({"max_length": least}, **places)["splits"]["train"]["longest"] == least


@pytest.mark.parametrize("config", [BertConfig(), RobertaConfig(), GPT2Config()])
def test_a_tokenizer_without_its_files(tmp_path, config):
    config.save_pretrained(tmp_path)
    with pytest.raises(DamagedFile, match="special tokens: has no words. Put its files beside config.json"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_whose_file_is_cut(tmp_path):
    GPT2Config().save_pretrained(tmp_path)
    word_tokenizer(eos_token="<e>").save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(DamagedFile, match="cannot be read .*Put all its files beside config.json"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_with_more_tokens_than_the_model_has_rows(tmp_path):
    for rows, fits in ((len(WORDS) - 1, False), (len(WORDS), True)):
        GPT2Config(vocab_size=rows).save_pretrained(tmp_path)
        word_tokenizer(eos_token="<e>").save_pretrained(tmp_path)
        if fits:
            assert len(load_tokenizer(tmp_path)) == rows
        else:
            with pytest.raises(
                DamagedFile, match="8 tokens up to number 7: the model has embeddings for 7, numbers 0 to 6"
            ):
                load_tokenizer(tmp_path)


def test_a_tokenizer_that_makes_all_texts_alike_is_refused(tmp_path):
    places = prepared(tmp_path, tiny_tokenizer(), BertConfig(pad_token_id=0), sentence=["Zug", "Gleis"], label=[0, 1])
    with pytest.raises(DamagedFile, match="tokenizer = .*: all 2 texts become the same 3 tokens. Save the folder's"):
        tokenize_dataset({"max_length": 9}, **places)
