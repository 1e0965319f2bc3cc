"""Streams of random numbers, one for every purpose and step.

A stream is a function of (key, purpose, step) alone. Nothing has to be carried from step to step, so a run that is
killed and resumed draws what it would have drawn without the interruption, and two methods with the same sampling seed
see the same batches.

The seed of an experiment is a small number that anybody can guess. For real data use ``randomness="entropy"``: the keys
then hold 256 bits from the operating system. They are part of the checkpoint, which is as confidential as the data.
"""

import hashlib
import random
import secrets

import numpy as np
import torch

from lmodp.errors import require
from lmodp.training.ranks import ranks
from lmodp.vocabulary import RANDOMNESS

MT19937_WORDS = 624
_LEGACY_HEADER = 24  # bytes before the words in torch's CPU generator state: seed, left, seeded, next


def stream_key(seed: int, *, randomness: str) -> str:
    """Return the key (hexadecimal) of a purpose's streams: from a seed, or from 256 bits of the operating system."""
    require(randomness in RANDOMNESS, "randomness", randomness, "must be seeded or entropy")
    if randomness == "entropy":
        return secrets.token_hex(32)
    return hashlib.sha256(f"lmodp seed {seed}".encode()).hexdigest()


def stream_bytes(key: str, purpose: str, step: int, size: int) -> bytes:
    """Return ``size`` bytes that determine the stream of one purpose and step."""
    return hashlib.shake_256(f"{key}/{purpose}/{step}".encode()).digest(size)


def sampling_generator(key: str, step: int) -> np.random.Generator:
    """Return the generator of a step's Poisson draws (Philox, 128-bit key)."""
    words = np.frombuffer(stream_bytes(key, "sampling", step, 16), dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=words))


def device_generator(key: str, purpose: str, step: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return the torch generator of a purpose and step.

    ``torch.Generator.manual_seed`` keeps 32 bits on a CPU, few enough to try them all; here all 624 words of the
    Mersenne Twister are filled. On CUDA the seed of Philox has 64 bits.
    """
    generator = torch.Generator(device=device)
    generator.manual_seed(int.from_bytes(stream_bytes(key, purpose, step, 8), "little"))
    if generator.device.type == "cpu":
        _fill_mersenne_twister(generator, stream_bytes(key, purpose, step, 4 * MT19937_WORDS))
    return generator


def _fill_mersenne_twister(generator: torch.Generator, data: bytes) -> None:
    words = np.frombuffer(data, dtype=np.uint32).astype(np.uint64)
    words[0] |= np.uint64(1 << 31)  # the state of the recurrence must not be all zero
    state = generator.get_state()
    end = _LEGACY_HEADER + 8 * MT19937_WORDS
    state[_LEGACY_HEADER:end] = torch.from_numpy(words.view(np.uint8))
    generator.set_state(state)


def seed_dropout(key: str, step: int) -> None:
    """Seed the global generators for one step: torch's, which dropout masks are drawn from, differently on every rank.

    Those of numpy and Python, which the suite does not use, are alike on all ranks: a method may draw from them.
    """
    rank = ranks().rank
    purpose = f"dropout of rank {rank}" if rank else "dropout"
    seed = int.from_bytes(stream_bytes(key, purpose, step, 8), "little") >> 1
    torch.default_generator.manual_seed(seed)  # torch.manual_seed keeps a stack for every device it does not find
    torch.cuda.manual_seed_all(seed) if torch.cuda.is_available() else None
    others = int.from_bytes(stream_bytes(key, "method", step, 4), "little")
    np.random.seed(others)
    random.seed(others)
