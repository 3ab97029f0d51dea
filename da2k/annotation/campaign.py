"""Which Label Studio projects a workspace works with."""

from dataclasses import dataclass
from uuid import uuid4

from da2k.annotation.tasks import Kind
from da2k.construction.settings import Mode
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput


@dataclass(frozen=True, slots=True)
class Campaign:
    """A project of this workspace's, as far as it is known here.

    Attributes:
        kind: what its tasks ask.
        tag: stands in the project's description, so that a project whose making was cut short is found again.
        url: of the server, without a slash at its end; None before the first push.
        project: its number on the server; None before the first push.
        mode: how its tasks are shown; settled at the first push.
        seen: the newest change on the server that was pulled, ISO 8601; None before the first pull.
        pulled: when that was, ISO 8601 in UTC.
    """

    kind: Kind
    tag: str
    url: str | None = None
    project: int | None = None
    mode: Mode | None = None
    seen: str | None = None
    pulled: str | None = None

    @property
    def begun(self) -> bool:
        """Whether there is a project on a server."""
        return self.project is not None


def read_campaign(workspace: Workspace, kind: Kind) -> Campaign:
    """What is known of the project of this kind; a new tag if there is nothing yet."""
    columns = "tag, url, project, mode, seen, pulled"
    for row in workspace.db.run(f"SELECT {columns} FROM campaigns WHERE kind = ?", kind):
        return Campaign(kind, *row)
    return Campaign(kind, uuid4().hex)


def write_campaign(workspace: Workspace, campaign: Campaign) -> None:
    """Store it; committed before anything is asked of the server, so that a cut loses no project.

    How a project of pairs shows its tasks is kept for as long as its answers are, whatever project comes after it;
    "review" stays while answers that may have been given in it are held.
    """
    if campaign.kind == "pairs" and campaign.url and campaign.project and campaign.mode:
        workspace.db.run(
            "INSERT INTO modes VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET mode = excluded.mode "
            "WHERE mode != 'review' OR NOT EXISTS (SELECT 1 FROM annotations WHERE url = ?1 AND project = ?2)",
            *(campaign.url, campaign.project, campaign.mode),
        )
    workspace.db.run(
        "INSERT OR REPLACE INTO campaigns VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(campaign.kind, campaign.tag, campaign.url, campaign.project, campaign.mode, campaign.seen, campaign.pulled),
    )


def require_mode(workspace: Workspace, mode: Mode) -> None:
    """Refuse another way of showing tasks than the one that tasks were sent in.

    Raises:
        BadInput: the pairs are asked in the other mode.
    """
    campaign = read_campaign(workspace, "pairs")
    sent = workspace.db.run("SELECT count(*) FROM tasks WHERE kind = 'pairs'")[0][0]
    if sent and campaign.mode not in (None, mode):
        raise BadInput(
            f"{workspace.folder}: project {campaign.project} was begun with annotation.mode {campaign.mode}, which "
            "stays; for the other, begin anew with --new-project"
        )
