"""The files that a campaign begins with: the search words, the team's server, and the page that explains them."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from da2k.annotation.studio import VERSION, default_folder, is_prepared
from da2k.cli import app
from da2k.pairs import SCENARIOS

HERE = Path(__file__).resolve().parents[2] / "annotation"
VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((HERE / "compose.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def example():
    """The settings of env.example, all of them."""
    lines = [line for line in (HERE / "env.example").read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_keywords_are_those_of_the_eight_scenarios():
    class Strict(yaml.SafeLoader):
        """Refuses a key that stands twice."""

    def mapping(loader, node):
        keys = [loader.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys
        return {
            key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value, strict=True)
        }

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    words = yaml.load((HERE / "keywords.yaml").read_text(), Strict)
    assert tuple(words) == SCENARIOS
    # The words of each row of Table 15, counted in the paper.
    assert [len(words[name]) for name in SCENARIOS] == [11, 18, 17, 12, 8, 8, 9, 46]
    every = [word for name in SCENARIOS for word in words[name]]
    assert all(isinstance(word, str) and word == word.strip() for word in every)
    assert len({word.casefold() for word in every}) == len(every)


def test_images_are_pinned_to_versions(services):
    assert services["label-studio"]["image"] == f"heartexlabs/label-studio:{VERSION}"
    assert all(re.fullmatch(r"[\w/-]+:\d+\.\d+(\.\d+)?", service["image"]) for service in services.values())


def test_only_this_machine_reaches_the_server(services):
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 1
    assert all(str(port).startswith("127.0.0.1:") for port in published)
    assert services["db"]["networks"] == ["inside"]
    assert not any(service.get("network_mode") or service.get("privileged") for service in services.values())
    assert yaml.safe_load((HERE / "compose.yaml").read_text())["networks"]["inside"]["internal"] is True


def test_no_secret_is_in_a_file(services, example):
    secrets = [
        (name, value)
        for service in services.values()
        for name, value in service["environment"].items()
        if re.search("PASSWORD|TOKEN$|SECRET|USERNAME", name) and not name.endswith("ENABLE_LEGACY_API_TOKEN")
    ]
    assert len(secrets) == 4
    for _, value in secrets:
        name, operator, _ = VARIABLE.fullmatch(value).groups()
        assert operator == ":?", "must be given, and has no default"
        assert example[name] == ""
    assert ".env" in (HERE / ".gitignore").read_text().split()


def test_every_variable_is_explained_in_the_example(example):
    used = {found[0] for found in VARIABLE.findall((HERE / "compose.yaml").read_text())}
    assert used - {"LABEL_STUDIO_PORT"} == set(example)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DISABLE_SIGNUP_WITHOUT_LINK", "true"),
        ("ENABLE_LEGACY_API_TOKEN", "false"),
        ("CORS_ALLOW_ALL_ORIGINS", "false"),
        ("SSRF_PROTECTION_ENABLED", "true"),
        ("DEBUG", "false"),
        ("COLLECT_ANALYTICS", "false"),
        ("LATEST_VERSION_CHECK", "false"),
        ("SENTRY_DSN", ""),
        ("FRONTEND_SENTRY_DSN", ""),
        ("LOCAL_FILES_SERVING_ENABLED", "true"),
        ("LOCAL_FILES_DOCUMENT_ROOT", "/label-studio/files"),
        ("CSRF_TRUSTED_ORIGINS", "${LABEL_STUDIO_HOST:-}"),
        (
            "SESSION_COOKIE_SECURE",
            "${LABEL_STUDIO_SECURE_COOKIES:-0}",
        ),  # "true" would end the start: it is read by int()
    ],
)
def test_the_server_is_closed_and_silent(services, name, value):
    assert services["label-studio"]["environment"][f"LABEL_STUDIO_{name}"] == value


def test_pictures_can_only_be_read(services):
    (mount,) = [volume for volume in services["label-studio"]["volumes"] if isinstance(volume, dict)]
    assert mount["read_only"] is True
    assert mount["target"] == services["label-studio"]["environment"]["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"]


def test_data_outlive_their_containers_and_health_is_known(services):
    named = yaml.safe_load((HERE / "compose.yaml").read_text())["volumes"]
    kept = [volume.split(":")[0] for s in services.values() for volume in s["volumes"] if isinstance(volume, str)]
    assert set(kept) == set(named) == {"data", "db"}
    assert all(service["healthcheck"]["test"][0] == "CMD" for service in services.values())
    assert services["label-studio"]["depends_on"]["db"]["condition"] == "service_healthy"


def test_label_studio_knows_each_variable(services):
    if not is_prepared(default_folder()):
        pytest.skip(f"needs the environment of Label Studio, which is not in {default_folder()}")
    (code,) = (default_folder() / VERSION / "venv").rglob("site-packages/label_studio")
    read = "".join(path.read_text() for path in [*(code / "core" / "settings").glob("*.py"), code / "server.py"])
    for variable in services["label-studio"]["environment"]:
        names = {variable, variable.removeprefix("LABEL_STUDIO_")}
        assert any(f"'{name}'" in read for name in names), variable


def lines_of(text: str):
    """The da2k commands in the blocks of a page, as words behind `da2k`."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("da2k ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def mentions_of(text: str):
    """The da2k commands that its sentences mention, which may leave something out."""
    found = re.findall(r"`da2k ([^`]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [shlex.split(each.replace("…", "")) for each in found]


def found_command(words):
    """The command that words name, and what is left of them."""
    command = get_command(app)
    while hasattr(command, "commands"):
        assert words[0] in command.commands, words
        command, words = command.commands[words[0]], words[1:]
    return command, words


def test_every_command_of_the_page_is_real():
    lines = lines_of((HERE / "README.md").read_text())
    given = {" ".join(words[:2]) for words in lines}
    assert {f"annotate {name}" for name in ("serve", "gold", "push", "pull", "status")} <= given
    assert {"build init", "build run", "build status", "build release"} <= given
    for words in lines:
        command, rest = found_command(words)
        with command.make_context(words[0], list(rest)):  # parses the words; what is wrong with them, raises
            pass


@pytest.mark.parametrize("name", ["README.md", "compose.yaml", "env.example", "keywords.yaml"])
def test_every_command_that_is_mentioned_is_real(name):
    for words in mentions_of((HERE / name).read_text()):
        command, rest = found_command(words)
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in rest if word.startswith("-")} <= known, words


def test_every_file_that_the_page_links_to_is_there():
    links = re.findall(r"\]\(([^)#:]+)\)", (HERE / "README.md").read_text())
    assert links
    assert all((HERE / link).is_file() for link in links)
