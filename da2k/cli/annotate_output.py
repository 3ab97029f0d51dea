"""What `da2k annotate` prints: results on stdout, remarks on stderr."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from da2k.cli.build_output import list_on_stderr, print_next, quoted, remark

if TYPE_CHECKING:
    from da2k.annotation.gold import GoldReport
    from da2k.annotation.people import PersonStatus
    from da2k.annotation.pull import PullReport
    from da2k.annotation.push import PushReport
    from da2k.annotation.status import ScenarioStatus, Status
    from da2k.annotation.studio import Running
    from da2k.construction.workspace import Workspace
    from da2k.metrics.agreement import Share

_WHAT = {"pairs": "which point is closer", "photos": "pairs to choose by hand"}


def print_served(running: "Running", workspace: Path) -> None:
    """Where Label Studio is, how one gets in, and what comes next."""
    typer.echo(f"Label Studio: {running.url}")
    typer.echo(f"  e-mail:     {running.email}")
    typer.echo(f"  password:   {running.password}")
    typer.echo(f"  token:      {running.url}/user/account, after logging in; da2k annotate push asks for it")
    typer.echo(f"next, in another terminal: da2k annotate push {quoted(workspace)} --url {running.url}")
    typer.echo("Ctrl-C stops it; the same command starts it again with all that people answered")


def say_unselected(workspace: "Workspace") -> None:
    """That pairs are still to be drawn of some photographs, if so."""
    done = {image for (image,) in workspace.db.run("SELECT image FROM work WHERE stage = 'selection'")}
    left = [
        each for each in workspace.images() if workspace.settings.is_automatic(each.scenario) and each.image not in done
    ]
    if left:
        folder = quoted(workspace.folder)
        remark(
            f"no pairs were drawn yet of {len(left)} photographs; nobody is asked about them: da2k build run {folder}"
        )


def print_pushed(reports: "Sequence[PushReport]", workspace: Path) -> None:
    """What was sent; leaves with exit code 1 if a photograph failed."""
    failed, pull = False, f"da2k annotate pull {quoted(workspace)}"
    for report in reports:
        by_hand = report.project is None
        parts = {
            "written" if by_hand else "sent": report.sent,
            "there already": report.present,
            "given to one more person, since people differ": report.again,
            "shown with their first answer to those who check": report.reviewing,
            "closed, since their pairs are decided": report.closed,
        }
        told = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
        typer.echo(f"{report.kind} ({_WHAT[report.kind]}): {told or 'nothing to do'}")
        _some("gone", report.vanished, "tasks were deleted on the server; what still lacks answers was sent again")
        _some("foreign", report.foreign, "tasks of the project are not da2k's; they are left alone")
        _some("not needed", report.stale, "tasks are of pairs that are not queued any more; they are left alone")
        _some(
            "twice",
            report.duplicates,
            "tasks stand there twice, and people have answered both; each person counts once",
        )
        for note in report.notes:
            remark(f"{report.kind}: {note}")
        list_on_stderr("failed", [f"{image}: {why}" for image, why in sorted(report.failures.items())])
        failed = failed or bool(report.failures)
        typer.echo(f"{'import by hand' if by_hand else 'people answer here'}: {report.url}")
    how = f"export as JSON, and {pull} --file EXPORT.json" if any(each.project is None for each in reports) else pull
    typer.echo(f"next, when people have answered: {how}")
    if failed:
        raise typer.Exit(1)


def print_pulled(reports: "Sequence[PullReport]", workspace: "Workspace") -> None:
    """What came, what could not be counted, and what comes next."""
    for report in reports:
        parts = {"new": report.new, "changed": report.changed, "gone": report.gone, "skipped": report.skipped}
        told = "".join(f", {count} {what}" for what, count in parts.items() if count)
        count = "" if report.kind == "photos" else f"; {report.counted} answers count"
        typer.echo(f"{report.kind}: {_counted(report.annotations, 'annotation')}{told}{count}")
        for sort, which in report.problems.items():
            list_on_stderr(sort, which)
    for note in dict.fromkeys(note for report in reports for note in report.notes):
        remark(note)
    print_next(workspace)


def print_gold(report: "GoldReport", workspace: Path) -> None:
    """What became of a file of gold pairs."""
    parts = {"new": report.added, "with another answer than before": report.changed, "known already": report.known}
    told = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    typer.echo(f"gold: {report.pairs} pairs in the file{': ' if told else ''}{told}; {report.held} held now")
    if report.elsewhere:
        remark(
            f"{report.elsewhere} pairs are on photographs that are not in {workspace}, the first: {report.first_left}"
        )
    if report.other_photo:
        remark(
            f"{report.other_photo} pairs are on photographs of the same name and other bytes, the first: "
            f"{report.first_left}"
        )
    if report.queued:
        remark(f"{report.queued} gold pairs are queued anyway, and are released like any pair")
    if report.held:
        typer.echo(f"next: da2k annotate push {quoted(workspace)}")


def print_status(found: "Status", workspace: Path) -> None:
    """How far people are and how well they agree."""
    from da2k.cli.tables import print_table

    for kind, campaign in found.campaigns.items():
        typer.echo(f"{kind}: {campaign.url}/projects/{campaign.project}, as of {campaign.pulled or 'no pull yet'}")
    if not found.scenarios:
        typer.echo(f"nothing is queued; next: da2k build run {quoted(workspace)}")
        return
    agree = "alpha" if found.mode == "independent" else "confirmed"
    titles = ["queued", "sent", "open", "unchecked", "dissent", "kept", "dropped", "skipped"]
    titles += ["photos"] * bool(found.total.photo_tasks) + [agree]
    by_name = {**found.scenarios, "total": found.total}
    rows = [_scenario_row(name, numbers, bool(found.total.photo_tasks)) for name, numbers in by_name.items()]
    print_table(["scenario", *titles], rows, last_apart=1)
    if found.total.dropped:
        typer.echo(f"dropped: {', '.join(f'{count} {why}' for why, count in found.total.dropped.items())}")
    typer.echo(_told_agreement(found))
    if found.people:
        titles = ["answers", "skipped", "median s", "an hour", "cannot tell %", "bad %"]
        titles += ["agrees %"] if found.mode == "independent" else ["confirms %", "upheld %"]
        typer.echo("")
        print_table(["person", *titles, "gold right"], [_person_row(person) for person in found.people])
    if found.gold:
        typer.echo(f"gold pairs held: {found.gold}")
    for person in found.people:
        if person.stands_out:
            remark(f"look at {person.person}: {' and '.join(person.stands_out)} worse than the others', beyond chance")
    for problem in found.problems:
        remark(problem)
    total, folder = found.total, quoted(workspace)
    waiting = total.open + total.unchecked + total.dissent
    if total.dissent:
        remark(
            f"people differ on {total.dissent} pairs: each waits for somebody who has not answered it yet "
            "(or set checks.dissent to majority)"
        )
    if waiting and not found.campaigns:
        typer.echo(f"next: da2k annotate push {folder} --url URL, or first a server: da2k annotate serve {folder}")
    elif waiting:
        typer.echo(f"next: {waiting} pairs need answers; da2k annotate pull {folder}, then da2k annotate push {folder}")
    elif total.queued:
        typer.echo(f"next: all {total.queued} pairs are decided: da2k build release {folder} OUT")


def _scenario_row(name: str, numbers: "ScenarioStatus", with_photos: bool) -> list[str]:
    from da2k.construction.release.agreement import told_alpha

    agreement = numbers.agreement
    counts = [numbers.queued, numbers.sent, numbers.open, numbers.unchecked, numbers.dissent, numbers.kept]
    counts += [sum(numbers.dropped.values()), numbers.skipped]
    photos = [f"{numbers.photo_tasks_done}/{numbers.photo_tasks}" if numbers.photo_tasks else ""] * with_photos
    agreed = _percent(agreement.checks) if agreement.checks else told_alpha(agreement) or "–"
    return [name, *map(str, counts), *photos, agreed]


def _person_row(person: "PersonStatus") -> list[str]:
    speed, gold = person.speed, person.gold.right
    shares = [person.cannot_tell, person.bad_sample]
    shares += [each for each in (person.agreement, person.confirms, person.upheld) if each]
    return [
        person.person,
        str(person.answers),
        str(person.skipped),
        "–" if speed.median_seconds is None else f"{speed.median_seconds:.1f}",
        "–" if speed.answers_an_hour is None else f"{speed.answers_an_hour:.0f}",
        *map(_percent, shares),
        f"{gold.count}/{gold.total}" + (f" {_interval(gold)}" if gold.total else ""),
    ]


def _told_agreement(found: "Status") -> str:
    from da2k.cli.tables import interval

    agreement = found.total.agreement
    if agreement.unknown:
        return f"agreement: not known, {agreement.unknown}"
    if agreement.checks and agreement.checks.interval:
        checks = agreement.checks
        assert checks.interval
        return (
            f"agreement: {checks.count} of {checks.total} checks confirm the first answer (95 % interval "
            f"{interval(checks.interval)}); they saw it, so no alpha is given"
        )
    return (
        f"agreement: Krippendorff's alpha over {agreement.answers} answers of {agreement.people} people to "
        f"{agreement.pairs} pairs; 1 if all agree, 0 if as by chance"
    )


def _percent(share: "Share") -> str:
    return "–" if share.value is None else f"{100 * share.value:.1f}"


def _interval(share: "Share") -> str:
    from da2k.cli.tables import interval

    return f"({interval(share.interval)})" if share.interval else ""


def _some(label: str, which: Sequence[object], what: str) -> None:
    if which:
        more = ", …" if len(which) > 3 else ""
        remark(f"{label}: {len(which)} {what}: {', '.join(map(str, which[:3]))}{more}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
