import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from da2k.construction.settings import (
    EXPERTS_OF_THE_PAPER,
    Settings,
    change_settings,
    digest,
    read_settings,
    write_settings,
)
from da2k.errors import BadInput
from da2k.models.registry import zoo
from da2k.pairs import SCENARIOS


def written(folder, text):
    path = folder / "da2k.yaml"
    path.write_text(text)
    return path


def test_the_defaults_are_the_paper_s():
    settings = Settings()
    assert tuple(settings.scenarios) == SCENARIOS
    assert [name for name in SCENARIOS if not settings.is_automatic(name)] == ["transparent_reflective", "object"]
    assert [expert.model for expert in settings.experts] == list(EXPERTS_OF_THE_PAPER)
    assert set(EXPERTS_OF_THE_PAPER) <= set(zoo())
    assert settings.selection.ratio == 3
    assert settings.checks.checks == 2


def test_what_is_written_is_read_again(tmp_path):
    settings = Settings.model_validate({"seed": 7, "scenarios": {"fog": {"quota": 3, "pairs": 10}}})
    write_settings(tmp_path / "da2k.yaml", settings)
    assert read_settings(tmp_path / "da2k.yaml") == settings


def test_keys_left_out_have_their_defaults(tmp_path):
    assert read_settings(written(tmp_path, "seed: 3\n")) == Settings(seed=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selektion: {}", 'selektion: unknown key; did you mean "selection"?'),
        ("selection: {audits: 0.1}", 'selection.audits: unknown key; did you mean "audit"?'),
        ("keypoints: {sam: {modle: vit_b}}", 'keypoints.sam.modle: unknown key; did you mean "model"?'),
        ("scenarios: {fog: {qouta: 1}}", 'scenarios.fog.qouta: unknown key; did you mean "quota"?'),
        ("selection: {audit: 2}", "selection.audit: must be 1 or less"),
        ("selection: {ratio: .nan}", "selection.ratio: "),
        ("selection: {quota: -1}", "selection.quota: must be 0 or more"),
        ("selection: {quota: many}", "selection.quota: must be a whole number"),
        ("selection: {one_pair_a_mask: 7}", "selection.one_pair_a_mask: must be true or false"),
        ("keypoints: {method: dots}", "keypoints.method: must be 'sam' or 'grid'"),
        ("keypoints: sam", "keypoints: must hold keys and values"),
        ("images:", "images: must hold keys and values"),
        ("scenarios: {fog: automatic}", "scenarios.fog: must hold keys and values"),
        ("scenarios: fog", "scenarios: must hold keys and values"),
        ("experts: baseline:row", "experts: must be a list"),
        ("experts: [{options: {}}, {model: a}]", "experts.0.model: is missing"),
        ("experts: [{model: a, options: {steps: 4}}, {model: b}]", '4 has to be text: put it in quotes, "4"'),
        ("release: {creators: ann}", "release.creators: must be a list"),
        ("release: {version: 0.1}", 'release.version: 0.1 has to be text: put it in quotes, "0.1"; three numbers'),
        ("release: {date: 2026-1-2}", 'release.date: "2026-1-2" is not of the right form; year, month and day'),
        ("release: {date: 2026-01-02 10:00:00}", "release.date: "),
        ("experts: [{model: a}]", "experts: at least 2 experts are needed"),
        ("experts: [{model: a}, {model: a}]", "experts: the same expert stands twice"),
        ("scenarios: {}", "scenarios: at least 1 scenario is needed"),
        ("scenarios: {../x: {}}", "scenarios.../x: a scenario's name has only letters, digits, _ . -"),
        ("scenarios: {my kitchen: {}}", "scenarios.my kitchen: a scenario's name has only letters, digits, _ . -"),
        ("version: 2", "version: 2: this da2k reads version 1; use a newer da2k"),
        ("- a", "must hold keys and values"),
        ("a: [", "not readable as YAML"),
        ("seed: 1\nseed: 2", "not readable as YAML"),
        ("", "must hold keys and values"),
        ("release: {date: 2024-13-45}", "not readable as YAML"),
        ("seed: " + "9" * 5000, "not readable as YAML"),
        ("[" * 3000, "not readable as YAML"),
        ('release: {description: "\\ud800"}', "half a character"),
    ],
)
def test_a_wrong_file_is_one_line_that_says_where(tmp_path, text, message):
    with pytest.raises(BadInput) as caught:
        read_settings(written(tmp_path, text))
    assert message in str(caught.value)
    assert str(tmp_path / "da2k.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)
    for word in ("Input should", "valid dictionary", "instance of", "tuple", "Value error", "validation", "[key]"):
        assert word not in str(caught.value)


def test_a_missing_file_says_how_to_begin(tmp_path):
    with pytest.raises(BadInput, match="da2k build init"):
        read_settings(tmp_path / "da2k.yaml")


def test_every_problem_is_named_at_once(tmp_path):
    with pytest.raises(BadInput) as caught:
        read_settings(written(tmp_path, "seed: -1\nchecks: {checks: many}\nrelease: {version: one}\n"))
    assert all(key in str(caught.value) for key in ("seed:", "checks.checks:", "release.version:"))


def test_a_change_keeps_comments_and_other_values(tmp_path):
    path = written(tmp_path, "# ours\nseed: 3  # as always\nselection:\n  quota: 5\n")
    settings = change_settings(path, {"selection.audit": 0.1, "keypoints.sam.model": "vit_b"})
    assert settings == read_settings(path)
    assert (settings.seed, settings.selection.quota, settings.selection.audit) == (3, 5, 0.1)
    assert settings.keypoints.sam.model == "vit_b"
    assert "# ours" in path.read_text()
    assert "# as always" in path.read_text()


def test_a_date_needs_no_quotes(tmp_path):
    path = written(tmp_path, "release: {date: 2026-01-02}\n")
    assert read_settings(path).release.date == "2026-01-02"
    assert change_settings(path, {"seed": 4}).release.date == "2026-01-02"
    assert read_settings(path).release.date == "2026-01-02"


@pytest.mark.parametrize("text", ["2026-01-02", "0.1", "1e3", "0x10", "010", "1_000", "yes", "null", "~", "", "1:30"])
def test_a_text_that_reads_as_something_else_is_in_quotes(tmp_path, text):
    path = written(tmp_path, f'release:\n  description: "{text}"\n')
    changes = {"release.citation": text, "experts": [{"model": "a", "options": {"kind": text}}, {"model": "b"}]}
    settings = change_settings(path, changes)
    assert settings == read_settings(path) == Settings.model_validate(yaml.safe_load(path.read_text()))
    assert (settings.release.citation, settings.release.description) == (text, text)
    write_settings(path, settings)
    assert settings == read_settings(path) == Settings.model_validate(yaml.safe_load(path.read_text()))


def test_a_change_that_is_not_allowed_leaves_the_file(tmp_path):
    path = written(tmp_path, "seed: 3\n")
    with pytest.raises(BadInput, match=r"selection\.audit"):
        change_settings(path, {"selection.audit": 7})
    assert path.read_text() == "seed: 3\n"


def test_the_same_expert_with_other_options_is_another_expert(tmp_path):
    text = "experts:\n- model: hf:a\n- {model: hf:a, options: {dtype: float16}}\n"
    names = [expert.name for expert in read_settings(written(tmp_path, text)).experts]
    assert names == ["hf:a", "hf:a dtype=float16"]


def test_yaml_readers_agree_on_what_is_written(tmp_path):
    write_settings(tmp_path / "da2k.yaml", Settings())
    assert Settings.model_validate(yaml.safe_load((tmp_path / "da2k.yaml").read_text())) == Settings()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), json_values, min_size=2))
def test_a_digest_does_not_depend_on_the_order_of_keys(content):
    assert digest(content) == digest(dict(reversed(content.items())))


@given(json_values, json_values)
def test_a_digest_tells_values_apart(one, other):
    import json

    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest(one) == digest(other)) is same
