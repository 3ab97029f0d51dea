"""What stands in a result beside its numbers: which model, on what, by which rules, where and when."""

from da2k.depth import DepthKind
from da2k.leaderboard.report.shown import seen
from da2k.results import DenseResult, Result

_LONG = 300


def about(result: Result | DenseResult) -> list[tuple[str, str]]:
    """Facts, each with its name; those that are not known are left out. All are fit to be shown."""
    model, run, benchmark = result.model, result.run, result.benchmark
    facts: list[tuple[str, object]] = [
        ("Model", model.name),
        ("Named as", model.spec),
        ("Maps", None if model.kind is None else f"{model.kind}: {direction(model.kind)}"),
        ("Options", ", ".join(f"{key}={value}" for key, value in model.options.items())),
        ("Revision", model.revision),
        ("Weights, SHA-256", model.weights_digest),
        ("Parameters", None if model.parameters is None else f"{model.parameters:,}"),
        ("Preprocessing", model.preprocessing),
        ("Aspect of maps", model.aspect),
        ("Benchmark", benchmark.name),
        ("Benchmark revision", getattr(benchmark, "revision", None)),
        ("Benchmark digest", benchmark.digest),
        ("Read as", getattr(benchmark, "reader", None)),
        ("Protocol", result.protocol.name),
        ("Protocol digest", result.protocol.digest),
        ("Scored by", f"da2k {run.da2k_version}" + (f", commit {run.commit}" if run.commit else "")),
        ("Device", None if run.device == "none" else f"{run.device}, {run.dtype}"),
        ("Seed", run.seed),
        ("Started", run.started),
        ("Time", f"{run.seconds:.1f} s" if run.seconds else None),
        ("Speed", f"{run.images_per_second:.1f} images/s" if run.images_per_second else None),
        ("Python", run.python),
        ("Packages", ", ".join(f"{name} {version}" for name, version in run.packages.items())),
    ]
    return [(name, seen(value, _LONG)) for name, value in facts if value not in (None, "")]


def direction(kind: DepthKind | None) -> str:
    """Which end of a map's values is near."""
    if kind is None:
        return "of several kinds"
    return "larger is nearer" if kind.larger_is_nearer else "smaller is nearer"
