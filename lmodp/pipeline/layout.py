"""A grid and its two folders: small records under ``results``, bulky files under ``cache``."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from lmodp.data.cards import DATASETS
from lmodp.data.locks import hub_entries, locked_package
from lmodp.grid.cells import Grid
from lmodp.grid.config import check_config
from lmodp.grid.sections import Config
from lmodp.methods.discovery import law_files, method_files
from lmodp.models.cards import MODELS
from lmodp.pipeline.needs import Needs
from lmodp.records.reuse import Judge, name_in
from lmodp.records.stage_table import get_stage, method_files_of, outputs_of

PUBLISHED = Path(__file__).resolve().parents[2] / "config" / "published.tsv"
AUDIT_SETTINGS = {  # those that each stage reads
    "audit_mechanism": ("trials", "sampler_trials", "coordinates", "confidence"),
    "audit_training": ("canaries", "confidence"),
}


@dataclass(frozen=True)
class Layout:
    """A grid with its folders, its methods' files, and the judge of its records."""

    config: Config
    grid: Grid

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Return the layout of a configuration given as plain values, after checking it."""
        config = check_config(dict(values))
        return cls(config, Grid(config))

    @property
    def results(self) -> Path:
        """Folder of the grid's records."""
        return self.config.results

    @property
    def cache(self) -> Path:
        """Folder of bulky files."""
        return self.config.cache

    @cached_property
    def needs(self) -> Needs:
        """What every record is made from."""
        return Needs(self.grid, self.results, self.cache, pending=self.config.unfinished == "pending")

    @property
    def judge(self) -> Judge:
        """A judge of this grid's records as they are now; it remembers its verdicts."""
        return Judge(
            root=self.results,
            method_files=method_files(self.config.methods_folder),
            law_files=law_files(self.config.methods_folder),
            keep_records=self.config.keep_records,
            asked_otherwise=self._asked_otherwise,
            outside={PUBLISHED.name: PUBLISHED},
        )

    def method_files(self, stage: str, spec: Mapping[str, Any]) -> tuple[Path, ...]:
        """Return the files of methods that a stage's result depends on."""
        folder = self.config.methods_folder
        return method_files_of(stage, spec, method_files(folder), law_files(folder))

    def keeps(self, stage: str) -> bool:
        """Whether a stage's records that other code made are kept."""
        return self.config.keep_records and not get_stage(stage).reports

    def outputs(self, stage: str, thing: str) -> dict[str, Path]:
        """Return the files that a stage writes for the thing of an id, by name."""
        return outputs_of(stage, thing, results=self.results, cache=self.cache)

    def source_spec(self, stage: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return the spec of a data set or model with what pins its bytes, which is content and no part of the id.

        The pin is a package's checksum in ``data.lock``, a commit of a hub, or None for local files.
        """
        kind = "dataset" if stage == "prepare_dataset" else "model"
        name, pin = spec[kind], None
        if spec.get("own_data") or spec.get("own_model"):
            return {**spec, "pin": None}  # the spec says which bytes
        card = DATASETS[name] if kind == "dataset" else MODELS[name]
        if spec["source"] == "embedded" and card.package:
            pin = locked_package(card.package).sha256
        elif spec["source"] == "hub":
            known = hub_entries()[name].revision if name in hub_entries() else None
            pin = self.config.hub_revisions.get(name, known)
        return {**spec, "pin": pin}

    def asked(self, stage: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return the spec that a record remembers, with what is no part of its id: full certificates, and entropy,
        under which a shared stage tells less of the data.
        """
        if stage == "certify_mechanism" and self.config.certificates != "quick":
            return {**spec, "certificates": self.config.certificates}
        release = self.config.randomness == "entropy" and "stamp" in get_stage(stage).files
        return {**spec, "randomness": "entropy"} if release else dict(spec)

    def _asked_otherwise(self, made: Mapping[str, Any]) -> str | None:
        """Return which settings outside its id a record was made by that the configuration no longer asks for."""
        stage, spec = made["stage"], made.get("spec", {})
        if "stamp" in get_stage(stage).files and spec.get("randomness", "seeded") != self.config.randomness:
            return "another randomness"
        if stage == "certify_mechanism" and spec.get("certificates", "quick") != self.config.certificates:
            return "another setting of certificates"
        if stage == "collect_results":  # cells that were pending then may be finished now, or about to be
            paths = [path for found in self.needs.inputs(stage, "").values() for path in found]
            return None if {name_in(self.results, path) for path in paths} == set(made["inputs"]) else "other cells"
        if stage in ("map_space", "map_wins"):
            return None if spec == self.needs.mapped(stage) else "another spec"
        if stage in ("prepare_dataset", "prepare_model"):
            config, prepares_data = self.config, stage == "prepare_dataset"
            known = spec["dataset"] in config.cards if prepares_data else spec["model"] in config.model_cards
            pinned = self.asked(stage, self.source_spec(stage, spec)) if known else None
            return None if spec == pinned else "another version of its source"
        wanted = self.config.audit.model_dump(mode="json")
        changed = [name for name in AUDIT_SETTINGS.get(stage, ()) if spec["audit"].get(name) != wanted[name]]
        return f"other settings of the audit ({', '.join(changed)})" if changed else None
