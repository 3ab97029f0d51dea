"""A row of the leaderboard: one model's result on one release of a benchmark, and what is known of the model."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from da2k.leaderboard.text import NAME_LENGTH, Name, Note, WebAddress, slug, unseen
from da2k.results import Result

ROW_VERSION: Literal[1] = 1


class Row(BaseModel):
    """One row, as its file has it; the per-pair rows lie beside it.

    Attributes:
        result: as `da2k evaluate` wrote it; `rows` names the per-pair file and its SHA-256.
        rescored: True if the predictions were scored when the row was added, False if a result was handed in, of which
            only the counts could be recomputed from its per-pair rows.
        licence: of the weights, as the submitter states it.
        url: where the model is described.
        note: one line.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    schema_version: Literal[1]
    result: Result
    rescored: bool
    licence: Name | None = None
    url: WebAddress | None = None
    note: Note | None = None

    @model_validator(mode="after")
    def _shown(self) -> Self:
        """What a page shows of the result is text that can be seen."""
        model, benchmark = self.result.model, self.result.benchmark
        shown = {"model.name": model.name, "model.revision": model.revision, "benchmark.name": benchmark.name}
        shown |= {"model.preprocessing": model.preprocessing, "benchmark.revision": benchmark.revision}
        shown |= {f"scenarios.{name}": name for name in self.result.scenarios}
        for field, text in shown.items():
            if text is None:
                continue
            if hidden := unseen(text):
                raise ValueError(f"result.{field}: holds the character {hidden}, which cannot be seen")
            if not text.strip() or len(text) > 4 * NAME_LENGTH or ("name" in field and len(text) > NAME_LENGTH):
                raise ValueError(f"result.{field}: is empty or too long")
        if self.result.rows is None:
            raise ValueError("result.rows: names no file of per-pair rows")
        if self.result.benchmark.partial:
            raise ValueError("result.benchmark.partial: a part of a benchmark has no place on the board")
        return self

    @property
    def place(self) -> tuple[str, str, str]:
        """Model folder, revision folder and file stem under `results/`: what tells rows apart."""
        model, benchmark = self.result.model, self.result.benchmark
        revision = model.revision or (model.weights_digest or "")[:12] or "unversioned"
        release = benchmark.revision or benchmark.digest[:12]
        return slug(model.name), slug(revision), f"{slug(benchmark.name)}@{slug(release)}"
