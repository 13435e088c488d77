"""`huizhen rules`: which rules are in force, and why a consult may or may not open."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from huizhen.cli_support import DataOption, console, database, fail, run, settings_from

if TYPE_CHECKING:
    from clinic.rulebook import RuleSet
    from huizhen.explaining import Explanation
    from huizhen.settings import Settings

rules_app = typer.Typer(no_args_is_help=True, help="The rules of a consult: what is in force, and what they say.")

_MARKS = {"passed": "[green]pass[/]", "failed": "[red]FAIL[/]", "relaxed": "[yellow]suspended[/]", "later": "later"}


@rules_app.command("explain")
def explain(  # noqa: PLR0917 a command has as many parameters as flags
    consult: Annotated[str, typer.Argument(help="Id of the consult.")],
    at: Annotated[
        datetime | None,
        typer.Option(
            "--at",
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
            help="The moment to judge, UTC. Default: now. The facts are those on record now.",
        ),
    ] = None,
    stage: Annotated[
        str, typer.Option("--stage", help="booking, join, reception (default) or running: what is asked when.")
    ] = "reception",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    locale: Annotated[str, typer.Option("--locale", help="zh or en: language of reasons and citations.")] = "zh",
    data: DataOption = None,
) -> None:
    """Every gate of this consult: pass or fail, the rule, its values with their layer, its citation, the rows it read.

    What only the running server knows (a doctor in another room, a guardian on camera) counts as not there.
    Leaves with status 1 when the consult may not open. Nothing is written, nobody's name is shown.
    """
    settings = settings_from(data)
    found = run(_explained(settings, consult, at.replace(tzinfo=UTC) if at is not None else None, stage))
    if as_json:
        typer.echo(json.dumps(document(found, consult), ensure_ascii=False, indent=1))
    else:
        _print(found, locale)
    if not found.verdict.allowed:
        raise typer.Exit(1)


async def _explained(settings: "Settings", consult_id: str, at: datetime | None, stage: str) -> "Explanation":
    from audit.errors import MissingRow
    from clinic import overlays
    from clinic.admission import Stage
    from clinic.rulebook import RulesInvalid
    from huizhen.explaining import explained

    try:
        overlays.adopt(settings.rules_path)
    except RulesInvalid as error:
        fail(f"{error.code}: {error.detail}")
    if stage not in tuple(Stage):
        fail(f"no stage {stage}: {', '.join(Stage)}", 2)
    async with database(settings) as db, db.read() as tx:
        try:
            consult = await tx.consults.get(consult_id)
        except MissingRow:
            fail("no such consult")
        return await explained(tx, consult, at or tx.now, Stage(stage))


def document(found: "Explanation", consult_id: str) -> dict[str, Any]:
    """The same as JSON."""
    rules, verdict = found.rules, found.verdict
    return {
        "consult": consult_id,
        "allowed": verdict.allowed,
        "stage": verdict.stage.value,
        "rules": verdict.rules_version,
        "layers": [{"version": each.version, "kind": each.kind, "title": each.title.en} for each in found.layers],
        "gates": [
            {
                "rule": gate.rule,
                "state": gate.state.value,
                "codes": list(gate.codes),
                "text": rules.rules[gate.rule].text_en,
                "citation": rules.rules[gate.rule].citation_en,
                "values": {name: {"value": used.value, "layer": used.layer} for name, used in gate.values.items()},
                "evidence": list(gate.read),
                "notice": gate.notice,
            }
            for gate in verdict.gates
        ],
    }


def _print(found: "Explanation", locale: str) -> None:
    from clinic.reasons import explain as words

    rules, verdict = found.rules, found.verdict
    english = locale == "en"
    table = Table("rule", "", "value · layer", "why, and what it rests on", show_lines=True)
    for gate in verdict.gates:
        rule = rules.rules[gate.rule]
        values = "\n".join(f"{name} {used.value} · {used.layer}" for name, used in gate.values.items())
        why = [f"{code}: {words(code, locale).text}" for code in gate.codes]
        if gate.notice is not None:
            why.append(rules.relaxed[gate.rule].title.en if english else rules.relaxed[gate.rule].title.zh)
        why.append(rule.citation_en if english else rule.citation)
        if gate.read:
            why.append(f"[dim]{' '.join(gate.read)}[/]")
        table.add_row(gate.rule, _MARKS[gate.state.value], values, "\n".join(why))
    console.print(table)
    answer = "[green]may open[/]" if verdict.allowed else "[red]may not open[/]"
    console.print(f"{answer} · {verdict.stage.value} · {verdict.rules_version}", highlight=False)


@rules_app.command("list")
def list_rules(data: DataOption = None) -> None:
    """Rule sets and overlays this server goes by, with their days."""
    from clinic import overlays
    from clinic.rulebook import RulesInvalid, shipped

    settings = settings_from(data)
    try:
        overlays.adopt(settings.rules_path)
    except RulesInvalid as error:
        fail(f"{error.code}: {error.detail}")
    table = Table("version", "layer", "where", "from", "to", "changes")
    for each in shipped():
        table.add_row(each.version, "national", "", str(each.effective_from), str(each.effective_to or ""), "")
    for over in overlays.adopted():
        changes = [f"{rule} {name} {value}" for (rule, name), value in over.values.items()]
        changes += [f"{rule} suspended" for rule in sorted(over.relaxes)]
        table.add_row(
            over.layer.version,
            over.layer.kind,
            over.province or over.institution or "",
            str(over.effective_from),
            str(over.effective_to or ""),
            ", ".join(changes),
        )
    console.print(table)


@rules_app.command("show")
def show(
    institution: Annotated[
        str | None, typer.Argument(help="Id or name of an institution. Left out: the only one, or the national rules.")
    ] = None,
    locale: Annotated[str, typer.Option("--locale", help="zh or en: language of the citations.")] = "zh",
    data: DataOption = None,
) -> None:
    """Every value that binds an institution today, gates and the rest, with its layer and citation."""
    settings = settings_from(data)
    name, rules = run(_binding(settings, institution))
    table = Table("rule", "value · layer", "rests on", show_lines=True, title=name)
    for rule_id in sorted(rules.rules):
        rule = rules.rules[rule_id]
        values = "\n".join(f"{each} {value} · {rules.layer(rule_id, each)}" for each, value in rule.values.items())
        table.add_row(rule_id, values, rule.citation_en if locale == "en" else rule.citation)
    console.print(table)


async def _binding(settings: "Settings", wanted: str | None) -> "tuple[str, RuleSet]":
    from clinic import overlays
    from clinic.rulebook import RulesInvalid, in_force

    try:
        overlays.adopt(settings.rules_path)
    except RulesInvalid as error:
        fail(f"{error.code}: {error.detail}")
    async with database(settings) as db, db.read() as tx:
        houses = list(await tx.institutions.find())
        if wanted is not None:
            houses = [each for each in houses if wanted in (each.id, each.name, each.short_name)]
        if wanted is not None and len(houses) != 1:
            fail(f"{len(houses)} institutions are called that")
        if len(houses) != 1:
            return "CN", in_force(tx.now.date())
        return houses[0].name, overlays.rules_for(houses[0], tx.now)
