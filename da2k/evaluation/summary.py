"""From judged images to a result."""

from collections.abc import Iterator, Sequence

from da2k.datasets.da2k import Benchmark
from da2k.depth import DepthKind
from da2k.evaluation.provenance import Stopwatch, describe_run
from da2k.evaluation.rows import JudgedImage
from da2k.metrics.ordering import Outcome, count_outcomes, summarise
from da2k.models import Model
from da2k.pairs import scenario_order
from da2k.protocols import OrderingProtocol
from da2k.results import SCHEMA_VERSION, Accuracy, BenchmarkRecord, Counts, Failure, ProtocolRecord, Result


def summarise_run(
    model: Model,
    benchmark: Benchmark,
    rules: OrderingProtocol,
    judged: Sequence[JudgedImage],
    watch: Stopwatch,
    remarks: Sequence[str] = (),
) -> Result:
    """The result of a run over all images of a benchmark; `remarks` join its warnings."""
    outcomes: dict[str, list[Outcome]] = {}
    for image in judged:
        for pair, outcome in zip(image.pairs, image.outcomes, strict=True):
            outcomes.setdefault(pair.scenario, []).append(outcome)
    by_scenario = {name: count_outcomes(outcomes[name]) for name in sorted(outcomes, key=scenario_order)}
    counts, accuracy, scenarios = summarise(by_scenario, rules.level)
    kinds = {image.reading.kind for image in judged if image.reading.kind is not None}
    record = model.record
    if record.kind is None and len(kinds) == 1:
        record = record.model_copy(update={"kind": min(kinds)})
    resumed = sum(image.reading.resumed for image in judged)
    computed = sum(image.reading.failure is None for image in judged) - resumed
    return Result(
        schema_version=SCHEMA_VERSION,
        benchmark=BenchmarkRecord(
            name=benchmark.name,
            revision=benchmark.revision,
            digest=benchmark.digest,
            images=len(benchmark.images),
            pairs=len(benchmark.pairs),
            partial=benchmark.partial,
        ),
        protocol=ProtocolRecord(name=rules.name, digest=rules.digest),
        model=record,
        run=describe_run(model, watch, computed, resumed),
        counts=counts,
        accuracy=accuracy,
        scenarios=scenarios,
        failures=list(_failures(judged)),
        warnings=[*benchmark.notes, *remarks, *getattr(model, "warnings", ()), *_doubts(counts, accuracy, kinds)],
    )


def _failures(judged: Sequence[JudgedImage]) -> Iterator[Failure]:
    for image in judged:
        not_finite = image.outcomes.count(Outcome.INVALID)
        if image.reading.failure:
            yield Failure(image=image.reading.image, reason=image.reading.failure)
        elif not_finite:
            reason = f"the map is not finite at {not_finite} of {len(image.outcomes)} pairs"
            yield Failure(image=image.reading.image, reason=reason)


def _doubts(counts: Counts, accuracy: Accuracy, kinds: set[DepthKind]) -> Iterator[str]:
    """What in the numbers themselves suggests a mistake."""
    if accuracy.interval[1] < 0.5 and counts.wrong > counts.total / 2:
        yield (
            f"most pairs are wrong: is {' and '.join(sorted(kinds))} really what the maps are? "
            "The direction may be reversed"
        )
    if counts.tied > counts.total / 100:
        yield f"{counts.tied} pairs are tied, and a tie is not correct; maps with 8 bits or clipped values cause ties"
    if len(kinds) > 1:
        yield f"the model returned maps of {len(kinds)} kinds: {', '.join(sorted(kinds))}"
