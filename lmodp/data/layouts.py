"""Names of the files of published data sets below ``data_root``.

Two layouts have names. ``plain`` has one folder per data set and one file per split.
``official`` has the file names under which GLUE, E2E and DART are published. Files
with other names are given under ``local_files`` in the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping

LAYOUTS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "plain": {
        "sst2": {"train": "sst2/train.tsv", "validation": "sst2/validation.tsv"},
        "mnli": {"train": "mnli/train.tsv", "validation": "mnli/validation.tsv"},
        "qnli": {"train": "qnli/train.tsv", "validation": "qnli/validation.tsv"},
        "qqp": {"train": "qqp/train.tsv", "validation": "qqp/validation.tsv"},
        "e2e": {"train": "e2e/train.csv", "validation": "e2e/validation.csv", "test": "e2e/test.csv"},
        "dart": {"train": "dart/train.json", "validation": "dart/validation.json", "test": "dart/test.json"},
    },
    "official": {
        "sst2": {"train": "SST-2/train.tsv", "validation": "SST-2/dev.tsv"},
        "mnli": {"train": "MNLI/train.tsv", "validation": "MNLI/dev_matched.tsv"},
        "qnli": {"train": "QNLI/train.tsv", "validation": "QNLI/dev.tsv"},
        "qqp": {"train": "QQP/train.tsv", "validation": "QQP/dev.tsv"},
        "e2e": {
            "train": "e2e-dataset/trainset.csv",
            "validation": "e2e-dataset/devset.csv",
            "test": "e2e-dataset/testset_w_refs.csv",
        },
        "dart": {
            "train": "dart/data/v1.1.1/dart-v1.1.1-full-train.json",
            "validation": "dart/data/v1.1.1/dart-v1.1.1-full-dev.json",
            "test": "dart/data/v1.1.1/dart-v1.1.1-full-test.json",
        },
    },
}
