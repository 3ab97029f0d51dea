"""What `da2k build` prints: results on stdout, remarks and failures on stderr."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from da2k.construction.funnel import Funnel, ScenarioFunnel
    from da2k.construction.intake import IntakeReport
    from da2k.construction.release import ReleaseReport
    from da2k.construction.stages import Progress, StageReport
    from da2k.construction.workspace import Workspace

_SHOWN = 10
"""Failed images named one by one; of the others only the number is told."""


class Screen:
    """A bar for the stage at work, and a line for each that is done. Leaves with exit code 1 if an image failed."""

    def __init__(self) -> None:
        self._bar = ExitStack()
        self._failed = False
        self._told: set[tuple[str, str]] = set()

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is None and self._failed:
            raise typer.Exit(1)

    def close(self) -> None:
        """Take the bar away, so that what is printed stands alone."""
        self._bar.close()

    def bar(self, label: str) -> "Progress":
        """What is told how far a stage is; its bar appears when the stage has something to do."""
        from da2k.cli.progress import progress

        show: list[Progress] = []

        def told(done: int, total: int) -> None:
            if not show:
                self.close()
                show.append(self._bar.enter_context(progress(label)))
            show[0](done, total)

        return told

    def say(self, report: "StageReport") -> None:
        """One line on stdout; notes, and failed images for reasons not told yet, on stderr."""
        self.close()
        parts = {
            "made": report.made,
            "made again because what they depend on changed": report.remade,
            "up to date": report.kept,
            "removed": report.dropped,
            "failed": len(report.failures),
        }
        told = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
        typer.echo(f"{report.stage}: {told or 'nothing to do'}")
        for note in report.notes:
            remark(f"{report.stage}: {note}")
        news = sorted(report.failures.items() - self._told)
        list_on_stderr("failed", [_with_place(image, why) for image, why in news])
        self._told.update(news)
        self._failed = self._failed or bool(report.failures)


def print_intake(report: "IntakeReport", folder: Path) -> None:
    """What was taken in; leaves with exit code 1 if a file was refused or is gone."""
    from da2k.cli.tables import print_table
    from da2k.pairs import scenario_of, scenario_order

    of_images = {
        "photographs": report.images,
        "new": report.taken,
        "changed": report.renewed,
        "put back": report.restored,
        "gone": report.missing,
        "removed": report.removed,
    }
    columns = {title: [scenario_of(image) for image in images] for title, images in of_images.items()}
    columns["refused"] = [refusal.scenario for refusal in report.refused]
    columns["duplicates"] = [Path(path).parent.name for path, _ in report.duplicates]
    shown = [title for title, names in columns.items() if names or title in ("photographs", "new")]
    scenarios = sorted({name for names in columns.values() for name in names if name}, key=scenario_order)
    rows = [[name, *(str(columns[title].count(name)) for title in shown)] for name in scenarios]
    print_table(["scenario", *shown], [*rows, ["total", *(str(len(columns[title])) for title in shown)]], last_apart=1)
    list_on_stderr(
        "changed", [f"{image}: taken in anew; its key points, readings and pairs are gone" for image in report.renewed]
    )
    list_on_stderr(
        "duplicate", [f"{path}: the same bytes as {image}; not taken in" for path, image in report.duplicates]
    )
    list_on_stderr(
        "alike", [f"{near.image}: looks like {near.other} ({near.bits} of 64 bits differ)" for near in report.near]
    )
    list_on_stderr("refused", [f"{refusal.path}: {refusal.why}" for refusal in report.refused])
    list_on_stderr("skipped", [f"{refusal.path}: {refusal.why}" for refusal in report.skipped])
    list_on_stderr("gone", [f"{image}: put it back, or forget it with --remove-missing" for image in report.missing])
    if report.images:
        typer.echo(f"next: da2k build run {quoted(folder)}")
    if report.refused or report.missing:
        raise typer.Exit(1)


def print_next(workspace: "Workspace", *, up_to_date: bool = True) -> None:
    """What is left for people to do; only what is `up_to_date` can be released."""
    from da2k.construction.decisions import State
    from da2k.construction.queue import read_decisions, read_pairs

    decisions = read_decisions(workspace)
    waiting = [key for key, each in decisions.items() if each.state not in (State.KEPT, State.DROPPED)]
    with_pairs = {pair.image for pair in read_pairs(workspace, queued_only=True)}
    by_hand = [
        image.image
        for image in workspace.images()
        if not workspace.settings.is_automatic(image.scenario) and image.image not in with_pairs
    ]
    sent = {name.rpartition("@")[0] for (name,) in workspace.db.run("SELECT external_id FROM tasks")}
    folder = quoted(workspace.folder)
    for what, left in (
        (f"{len(waiting)} of {len(decisions)} queued pairs wait for people", waiting),
        (f"{len(by_hand)} photographs of manual scenarios wait for people to choose pairs", by_hand),
    ):
        if left and sent.issuperset(left):
            typer.echo(f"next: {what}, in Label Studio; then da2k annotate pull {folder} and push {folder}")
        elif left:
            typer.echo(f"next: {what}: da2k annotate push {folder}")
    if decisions and not waiting and up_to_date:
        typer.echo(f"next: all {len(decisions)} queued pairs are decided: da2k build release {folder} OUT")


def print_release(report: "ReleaseReport") -> None:
    """What a release holds."""
    from da2k.cli.tables import print_table

    titles = ("images", "pairs", "disputed", "manual", "unanimous")
    rows = [[name, *(str(getattr(count, title)) for title in titles)] for name, count in report.scenarios.items()]
    totals = [str(sum(getattr(count, title) for count in report.scenarios.values())) for title in titles]
    print_table(["scenario", *titles], [*rows, ["total", *totals]], last_apart=1)
    if report.left_out:
        typer.echo(f"left out: {', '.join(f'{count} {why}' for why, count in report.left_out.items())}")
    for note in report.notes:
        remark(note)
    typer.echo(f"{'draft' if report.draft else 'release'}: {report.folder}\nSHA-256 of SHA256SUMS: {report.digest}")
    typer.echo(f"score a model on it: da2k evaluate MODEL --benchmark {quoted(report.folder)}")


def print_funnel(found: "Funnel", folder: Path) -> None:
    """The funnel of each scenario, the audit, and what is to be done."""
    from da2k.cli.tables import interval, percent, print_table

    def row(name: str, numbers: "ScenarioFunnel") -> list[str]:
        return [name, *(str(getattr(numbers, title.replace(" ", "_"))) for title in titles)]

    titles = ["images", "points", "read", "pairs", "unanimous", "disputed", "too close", "manual", "queued"]
    titles += ["decided", "checked", "released"]
    rows = [row(name, numbers) for name, numbers in found.scenarios.items()]
    print_table(["scenario", *titles], [*rows, row("total", found.total)], last_apart=1)
    if found.total.dropped:
        typer.echo(f"left out: {', '.join(f'{count} {why}' for why, count in found.total.dropped.items())}")
    audit = found.audit
    if audit.rate is not None and audit.interval is not None:
        typer.echo(
            f"audit: all experts wrong on {audit.wrong} of {audit.decided} unanimous pairs: {percent(audit.rate)} %, "
            f"{100 * audit.level:g} % interval {interval(audit.interval)}"
        )
    if audit.waiting:
        typer.echo(f"audit: {audit.waiting} of {audit.audited} audited pairs wait for people")
    for stage, due in found.due.items():
        parts = [f"{due.new} images to do"] * bool(due.new) + [f"{due.again} out of date"] * bool(due.again)
        typer.echo(f"{stage}: {', '.join(parts)}")
    if found.due:
        typer.echo(f"next: da2k build run {quoted(folder)}")
    if found.unknown:
        typer.echo(f"what is out of date cannot be told: {found.unknown}")
    list_on_stderr("failed", [f"{each.stage}: {_with_place(each.image, each.why)}" for each in found.failures])
    list_on_stderr("changed", list(found.changed.values()))


def _with_place(image: str, why: str) -> str:
    """Why an image failed, with its path, which may stand there already."""
    folder, found, _ = why.partition(f"{image}: ")
    return why if found and ": " not in folder else f"{image}: {why}"


def list_on_stderr(label: str, lines: Sequence[str]) -> None:
    """The first lines on stderr, and how many more there are."""
    for line in lines[:_SHOWN]:
        remark(f"{label}: {line}")
    if len(lines) > _SHOWN:
        remark(f"{label}: and {len(lines) - _SHOWN} more")


def quoted(path: Path) -> str:
    """A path as a shell takes it."""
    return quote(str(path))


def remark(line: str) -> None:
    """A line on stderr."""
    typer.echo(line, err=True)
