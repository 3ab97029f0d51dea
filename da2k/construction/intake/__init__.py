"""Taking photographs in: each is decoded once, hashed, and copied into the workspace with all that is known of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from da2k.construction.adjust import Say, adjusted, expert_changes, planned, scenario_changes
from da2k.construction.intake.admission import Admission
from da2k.construction.intake.duplicates import near_duplicates
from da2k.construction.intake.photographs import Listing, Refusal, list_photos, photo_root
from da2k.construction.settings import FILE_NAME, Settings, read_settings
from da2k.construction.stages import Progress
from da2k.construction.workspace import IMAGES, STATE, Workspace, create_workspace
from da2k.errors import BadInput


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two photographs that look alike; both are in the workspace.

    Attributes:
        image: `images/<scenario>/<file>`.
        other: the one before it that is most alike.
        bits: in how many of 64 bits their perceptual hashes differ.
    """

    image: str
    other: str
    bits: int


@dataclass(frozen=True)
class IntakeReport:
    """What was taken in; images are `images/<scenario>/<file>`.

    Attributes:
        images: all that the workspace holds now.
        taken: taken in for the first time.
        renewed: taken in anew, since their bytes had changed; their key points, readings and pairs, those that people
            chose included, were removed.
        restored: whose file was gone and was put back.
        missing: whose file is gone; all that is known of them stays.
        removed: whose file is gone, and all that was known of them was removed.
        refused: files that were not taken in, or that should not stay as they are.
        skipped: files that are no images and whose names do not say they were, such as notes.
        duplicates: (path, image): files not taken in, since they have the same bytes as that image.
        near: photographs that look like another one.
    """

    images: tuple[str, ...]
    taken: tuple[str, ...] = ()
    renewed: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    skipped: tuple[Refusal, ...] = ()
    duplicates: tuple[tuple[str, str], ...] = ()
    near: tuple[NearDuplicate, ...] = ()


def take_in(
    folder: Path,
    photos: Path | None = None,
    *,
    scenarios: Sequence[str] = (),
    experts: Sequence[str] = (),
    min_side: int | None = None,
    link: bool = False,
    remove_missing: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
) -> IntakeReport:
    """Begin a workspace, or bring it up to date with its photographs.

    First the workspace's own `images/` are looked through, then `photos` are copied into it. Files are judged in the
    order of their names, so that an interrupted intake ends as an uninterrupted one. Links are followed; hidden files
    are skipped.

    Args:
        folder: the workspace; made if it is not there.
        photos: a folder with one folder a scenario, or with these under `images/`; None, or the workspace itself, adds
            nothing to what lies in the workspace.
        scenarios: in place of those of the settings: "fog", or "fog=manual".
        experts: in place of those of the settings: model strings, each with " key=value" for its options.
        min_side: as the setting `images.min_side`.
        link: make hard links instead of copies.
        remove_missing: remove all that is known of photographs whose file is gone.
        progress: told (files done, files in all), of those that have to be read.
        say: told each change of the settings, and what the experts are if a new workspace begins with the default ones.

    Raises:
        BadModel: an expert that was given, or one of its options or files, is wrong; nothing is changed then.
        BadInput: there is no photograph; a folder is none of the scenarios; a setting is wrong; the workspace is in
            use, of a newer da2k, or cannot be written to. But for the last, nothing is changed then.
    """
    path = folder / FILE_NAME
    begins = not path.exists()
    settings = Settings() if begins else read_settings(path)
    changes = {
        **scenario_changes(scenarios, settings),
        **expert_changes(experts, settings),
        "images.min_side": min_side,
    }
    names = planned(folder, changes).scenarios
    root = None if photos is None else photo_root(photos)
    if root is not None and root.resolve() in (folder.resolve(), (folder / IMAGES).resolve()):
        root = None
    given = Listing() if root is None else list_photos(root, names, replaced=bool(scenarios))
    _require_photos(folder, root, given, _own(folder, names, replaced=bool(scenarios)))
    with create_workspace(folder, settings) as opened:
        workspace = adjusted(opened, changes, say)
        if say and begins and not experts:
            names_told = ", ".join(expert.name for expert in workspace.settings.experts)
            say(f"experts: {names_told}; large networks, downloaded when they are first used; --expert chooses others")
        admission = Admission(workspace, _own(folder, names), link)
        admission.take(given, progress)
        admission.account_for_missing(remove_missing)
        return _report(workspace, admission)


def _own(folder: Path, scenarios: Iterable[str], *, replaced: bool = False) -> Listing:
    root = folder / IMAGES
    return list_photos(root, list(scenarios), replaced=replaced) if root.is_dir() else Listing()


def _require_photos(folder: Path, root: Path | None, given: Listing, own: Listing) -> None:
    if root is not None and not given.files and not given.refused:
        raise BadInput(f"{root}: holds no photographs; they lie in one folder a scenario, such as {root / 'indoor'}")
    if root is None and not own.files and not own.refused and not (folder / STATE).exists():
        raise BadInput(f"{folder / IMAGES}: holds no photographs; name their folder: da2k build init {folder} PHOTOS")


def _report(workspace: Workspace, admission: Admission) -> IntakeReport:
    images = workspace.images()
    near = near_duplicates([each.phash for each in images], workspace.settings.images.near_duplicate_bits)
    return IntakeReport(
        images=tuple(each.image for each in images),
        taken=tuple(admission.taken),
        renewed=tuple(admission.renewed),
        restored=tuple(admission.restored),
        missing=tuple(admission.missing),
        removed=tuple(admission.removed),
        refused=tuple(admission.refused),
        skipped=tuple(admission.skipped),
        duplicates=tuple(admission.duplicates),
        near=tuple(NearDuplicate(images[two].image, images[one].image, bits) for one, two, bits in near),
    )
