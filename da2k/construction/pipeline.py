"""The construction up to the people: key points, readings, selection."""

from collections.abc import Callable

from da2k.construction.adjust import require_scenarios
from da2k.construction.keypoints import STAGE as KEYPOINTS
from da2k.construction.keypoints import place_keypoints
from da2k.construction.points import Sampler
from da2k.construction.readings import check_experts, take_readings
from da2k.construction.selection import STAGE as SELECTION
from da2k.construction.selection import select_pairs
from da2k.construction.stages import Progress, StageReport
from da2k.construction.workspace import Workspace
from da2k.evaluation.inference import BatchSize


def build(
    workspace: Workspace,
    *,
    sampler: Sampler | None = None,
    device: str = "auto",
    batch_size: BatchSize = 1,
    retry: bool = False,
    progress: Callable[[str], Progress] | None = None,
    say: Callable[[StageReport], None] | None = None,
) -> list[StageReport]:
    """Bring all stages that need no people up to date.

    Args:
        workspace: open for writing; its photographs have been taken in.
        sampler: of the key points, in place of the one that the settings name.
        device: where networks run that can choose.
        batch_size: images given to an expert at once.
        retry: try images again that failed before.
        progress: given a stage's name, returns what is told (images done, images in all).
        say: told what a stage did as soon as it is done.

    Raises:
        BadInput: the settings lack the scenario of a photograph.
        Da2kError: an expert's name, an option or a file is wrong, which is found before anything is made; or a network
            cannot be loaded, and what was made before it stays.
    """
    require_scenarios(workspace)
    check_experts(workspace, sampler=sampler)

    def show(stage: str) -> Progress | None:
        return progress(stage) if progress else None

    reports: list[StageReport] = []

    def done(report: StageReport) -> None:
        reports.append(report)
        if say:
            say(report)

    done(place_keypoints(workspace, sampler, device=device, retry=retry, progress=show(KEYPOINTS)))
    take_readings(
        workspace, device=device, batch_size=batch_size, retry=retry, sampler=sampler, progress=progress, say=done
    )
    done(select_pairs(workspace, sampler=sampler, progress=show(SELECTION)))
    return reports
