"""Streams: functions of key, purpose and step, seeded in full."""

import numpy as np
import pytest
import torch

from lmodp.errors import InvalidValue
from lmodp.training.randomness import device_generator, sampling_generator, stream_bytes, stream_key


def test_streams_depend_on_key_purpose_and_step_only():
    key, other = stream_key(1, randomness="seeded"), stream_key(2, randomness="seeded")
    base = stream_bytes(key, "noise", 3, 16)
    assert base == stream_bytes(key, "noise", 3, 16)
    different = [
        stream_bytes(other, "noise", 3, 16),
        stream_bytes(key, "dropout", 3, 16),
        stream_bytes(key, "noise", 4, 16),
    ]
    assert base not in different and len(set(different)) == 3


def test_system_entropy_is_fresh_and_long():
    first, second = stream_key(1, randomness="entropy"), stream_key(1, randomness="entropy")
    assert first != second and len(first) == 64


def test_unknown_entropy_is_refused():
    with pytest.raises(InvalidValue, match="randomness = 'fixed'"):
        stream_key(1, randomness="fixed")


def test_sampling_streams_repeat():
    draws = [sampling_generator("k", step).random(4).tolist() for step in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_the_whole_state_of_the_twister_is_filled():
    """Seeds that agree in the 32 bits torch keeps still give different streams."""
    generator = device_generator("k", "noise", 5)
    words = generator.get_state()[24 : 24 + 8 * 624].numpy().view(np.uint64)
    expected = np.frombuffer(stream_bytes("k", "noise", 5, 4 * 624), dtype=np.uint32)
    assert np.array_equal(words[1:], expected[1:])
    assert words[0] == int(expected[0]) | 1 << 31


def test_filled_generators_are_uniform_and_uncorrelated():
    draws = torch.stack([torch.rand(20_000, generator=device_generator("k", "noise", step)) for step in range(20)])
    correlation = torch.corrcoef(draws) - torch.eye(20)
    assert correlation.abs().max() < 6 / 20_000**0.5
    assert abs(float(draws.mean()) - 0.5) < 6 / (12 * draws.numel()) ** 0.5
