"""All code that knows the container form's fields agrees with their table. A failure lists the differing fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from lxc_dashboard import text
from lxc_dashboard.api.v1.openapi import document
from lxc_dashboard.errors import InvalidInputError
from lxc_dashboard.pages.creation.configure import configure_step
from lxc_dashboard.services.creation.form import presets
from lxc_dashboard.services.creation.form.choices import Choices, defaults
from lxc_dashboard.services.creation.form.command import pve_parameters
from lxc_dashboard.services.creation.form.fields import FIELDS, STEPS, Field
from lxc_dashboard.services.creation.form.filled import (
    Draft,
    Filled,
    decode_link,
    encode_link,
    form_of,
    without_secrets,
)
from lxc_dashboard.services.creation.form.spec import ContainerSpec
from lxc_dashboard.services.creation.form.validation import validate
from lxc_dashboard.services.templates.model import TemplateConfig
from lxc_dashboard.state.creation import summary
from lxc_dashboard.state.creation.form import steps_of
from tests.unit.services.creation.form.test_form_of_spec import detail
from tests.unit.services.creation.form.test_spec import LEAST

IN_FORM = [row for row in FIELDS if row.in_form]
IN_API = [row for row in FIELDS if row.in_api]
IN_SPEC = [row for row in FIELDS if row.in_spec]
SCHEMA: Mapping[str, Any] = json.loads(document())["components"]["schemas"]["CreationRequest"]["properties"]
# Invalid for every field: it is no text, whole number, flag or list.
NOTHING_VALID = 1.5


def offenders(rows: list[Field], agrees: Callable[[Field], bool]) -> list[str]:
    return [row.name for row in rows if not agrees(row)]


def changed(row: Field) -> Any:
    """A value other than the default, for fields whose values are in the table."""
    if row.is_flag:
        return not row.default
    if row.is_number:
        return row.most
    return next(choice for choice in row.choices if choice not in {row.default, "static"})


def is_known(row: Field) -> bool:
    return row.in_spec and (row.is_flag or row.is_number or bool(row.choices))


def form(row: Field, value: object) -> dict[str, object]:
    return {**LEAST, **(dict([row.needs]) if row.needs else {}), row.name: value}


def spec(row: Field) -> ContainerSpec:
    return validate(form(row, changed(row)))


def fault(row: Field, value: object) -> str:
    try:
        validate(form(row, value))
    except InvalidInputError as error:
        return error.fields.get(row.name, "")
    return ""


def test_the_validation_reads_every_field_and_names_the_wrong_one() -> None:
    assert offenders(IN_SPEC, lambda row: bool(fault(row, NOTHING_VALID))) == []


def test_a_number_beyond_its_bounds_is_refused_with_the_bounds() -> None:
    def is_bounded(row: Field) -> bool:
        assert row.least is not None
        assert row.most is not None
        within = not fault(row, row.least) and not fault(row, str(row.most))
        refusal = f"From {row.least} to {row.most}"
        return within and refusal == fault(row, row.least - 1) == fault(row, str(row.most + 1))

    assert offenders([row for row in IN_SPEC if row.is_number], is_bounded) == []


def test_a_choice_that_is_none_is_refused_with_the_choices() -> None:
    rows = [row for row in IN_SPEC if row.choices]
    assert offenders(rows, lambda row: fault(row, "other") == f"One of {', '.join(row.choices)}") == []


def test_a_fault_is_shown_in_the_fields_step() -> None:
    assert offenders(list(FIELDS), lambda row: row.step in STEPS and steps_of([row.name]) == [row.step]) == []


def test_the_api_describes_every_field_with_its_bounds_and_choices() -> None:
    def is_described(row: Field) -> bool:
        schema = SCHEMA[row.name]
        of_number: dict[str, Any] = next(
            (each for each in schema.get("anyOf", ()) if each.get("type") == "integer"), {}
        )
        bounds = (of_number.get("minimum"), of_number.get("maximum"))
        return bounds == (row.least, row.most) and set(schema.get("enum", ())) == set(row.choices)

    assert set(SCHEMA) == {row.name for row in IN_API} == set(text.API_FIELDS)
    assert offenders(IN_API, is_described) == []


def test_the_api_reads_what_the_form_reads() -> None:
    rows = [row for row in IN_API if is_known(row)]
    assert offenders(rows, lambda row: msgspec.convert(changed(row), row.json) == changed(row)) == []


def test_the_form_starts_with_every_field_and_nothing_else() -> None:
    assert set(defaults(None, Choices("pve1", ()))) == {row.name for row in IN_FORM}


def test_the_form_starts_with_the_templates_value() -> None:
    def is_taken(row: Field) -> bool:
        value = ("web",) if row.name == "tags" else changed(row)
        wanted: dict[str, Any] = {row.config: value}
        config = replace(TemplateConfig(app="web"), **wanted)
        template = replace(detail().summary, config=config)
        return defaults(template, Choices("pve1", ()))[row.name] == row.write(value)

    rows = [row for row in FIELDS if row.config]
    assert rows
    assert offenders(rows, is_taken) == []


def test_a_default_is_read_back_from_the_form() -> None:
    rows = [row for row in IN_FORM if is_known(row)]
    assert offenders(rows, lambda row: row.read(row.write(row.default)) == row.default) == []


def test_the_form_of_a_spec_has_every_field() -> None:
    rows = [row for row in IN_FORM if is_known(row)]
    assert offenders(rows, lambda row: form_of(spec(row))[row.name] == row.write(changed(row))) == []


def test_a_link_a_draft_and_a_preset_keep_every_field_but_what_they_must_not() -> None:
    def is_kept(row: Field) -> bool:
        filled = Filled(form={row.name: "kept"})
        linked = decode_link(encode_link(filled).coded)
        draft = msgspec.json.decode(msgspec.json.encode(Draft(without_secrets(filled), datetime.now(UTC))), type=Draft)
        preset = Filled.from_json(presets._fields(filled))
        bare = filled.without(row.name)
        kept = bare if row.is_secret else filled
        return (linked, draft.filled, preset) == (kept, kept, bare if row.of_one else kept)

    assert offenders([row for row in FIELDS if row.in_form or row.is_secret], is_kept) == []


def test_pve_gets_every_field_in_its_parameter() -> None:
    def is_sent(row: Field) -> bool:
        plain = validate(form(row, row.default)) if row.needs else validate(LEAST)
        before, after = (pve_parameters(each, each.vmid or 0, None) for each in (plain, spec(row)))
        differing = {name for name in before | after if before.get(name) != after.get(name)}
        return differing == ({row.pve.partition(".")[0]} if row.pve else set())

    rows = [row for row in FIELDS if is_known(row) and row.name != "password_mode"]
    assert offenders(rows, is_sent) == []


def test_every_field_has_its_words() -> None:
    labelled = {row.name for row in FIELDS if row.in_form or row.is_secret}
    assert set(text.FIELD_LABELS) == labelled
    assert set(text.FIELD_HINTS) <= labelled
    assert {name: set(choices) for name, choices in text.FIELD_CHOICES.items()} == {
        row.name: set(row.choices) for row in FIELDS if row.choices
    }


def test_the_wizard_has_an_input_for_every_field_with_its_bounds() -> None:
    page = str(configure_step())
    # The inputs of a mount point have the name of its row.
    rows = [row for row in IN_FORM if row.name != "mounts"]
    assert offenders(rows, lambda row: f'name:"{row.name}"' in page) == []
    numbers = [row for row in rows if row.is_number and row.default is not None]
    assert offenders(numbers, lambda row: f'max:{row.most},min:{row.least},name:"{row.name}"' in page) == []


def test_the_review_names_every_field() -> None:
    def is_named(row: Field) -> bool:
        entered = {row.name: "something", **(dict([row.needs]) if row.needs else {})}
        entered |= {"hostname_pattern": "web-{1..2}"} if row.name.endswith("_range") else {}
        lines = summary.review_lines(entered, "", packages=[], extras=[], scripts=[])
        named = (
            next(line for line in lines if line.label == text.OPTIONS).value.split(", ")
            if row.is_flag
            else [line.label for line in lines]
        )
        return text.FIELD_LABELS[row.name] in named

    assert offenders(IN_FORM, is_named) == []
