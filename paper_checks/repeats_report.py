"""The report of `paper_checks.repeats`, as Markdown: how often each check was run, the alarms, and what that bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scipy.stats import binomtest

from paper_checks import record
from paper_checks.repeats_state import Done, Repeats

CONFIDENCE = 0.95


def upper_bound(alarms: int, runs: int) -> float:
    """The Clopper-Pearson bound: with a larger rate, so few alarms in so many runs had a chance below 5%."""
    return float(binomtest(alarms, runs, alternative="less").proportion_ci(CONFIDENCE, method="exact").high)


def as_markdown(repeats: Repeats) -> str:
    asking = {name: done for name, done in sorted(repeats.claims.items()) if done.asks}
    still = sorted(name for name, done in repeats.claims.items() if done.honest and not done.asks)
    return "\n".join([*_head(asking, still), *_table(asking), *_alarms(repeats), *_rest(still, repeats), ""])


def _head(asking: Mapping[str, Done], still: list[str]) -> Iterator[str]:
    yield from (
        "# False alarms",
        "",
        "Each check was run at seeds that it was not written with. A run that fails, or finds another verdict,",
        "correction or kind of evidence than the recorded one, is a false alarm. Made by",
        "`python -m paper_checks.repeats --out F --markdown docs/results/false_alarms.md`.",
        "",
        f"- {len(asking) + len(still)} checks; {len(still)} never ask for their seed, and do the same every time.",
    )
    if asking:
        yield from _figures(asking)


def _figures(asking: Mapping[str, Done]) -> Iterator[str]:
    every = set.intersection(*(set(done.honest) for done in asking.values()))
    hit = set.union(*(done.false_alarms() for done in asking.values())) & every
    yield f"- Seeds at which all of the other {len(asking)} ran: {_rate(len(hit), len(every), 'seeds with an alarm')}"
    counts = sorted(len(done.honest) for done in asking.values())
    fewer = [count for count in counts if count < counts[-1]]
    others = f", the other {len(fewer)} at {fewer[0]} to {fewer[-1]}" if fewer else ""
    yield f"- {len(counts) - len(fewer)} of these ran at {counts[-1]} seeds{others}."
    runs = sum(len(done.honest) for done in asking.values())
    alarms = sum(len(done.false_alarms()) for done in asking.values())
    yield f"- Single runs of these: {_rate(alarms, runs, 'alarms')}"
    planted = [done for done in asking.values() if done.faulty]
    tried = sum(len(done.faulty) for done in planted)
    missed = sum(alarm["faulty"] for done in planted for alarm in done.alarms)
    yield f"- Planted faults of the {len(planted)} quick ones, tried again: caught in {tried - missed} of {tried} runs."


def _rate(alarms: int, runs: int, what: str) -> str:
    bound = f"; the rate is below {_percent(upper_bound(alarms, runs))} with 95% confidence" if runs else ""
    return f"{runs}; {what}: {alarms}{bound}."


def _percent(rate: float) -> str:
    return f"{100 * rate:.2g}%"


def _table(asking: Mapping[str, Done]) -> Iterator[str]:
    recorded = record.read()
    yield from (
        "",
        "| claim | evidence | runs | false alarms | rate below | s a run |",
        "|---|---|---:|---:|---:|---:|",
    )
    for name, done in asking.items():
        alarms, runs = len(done.false_alarms()), len(done.honest)
        evidence = recorded.get(name, {}).get("evidence", "")
        bound = _percent(upper_bound(alarms, runs))
        yield f"| {name} | {evidence} | {runs} | {alarms} | {bound} | {done.seconds_a_run:.2g} |"
    yield from ("", "Seconds are those of one core.")


def _alarms(repeats: Repeats) -> Iterator[str]:
    found = [(name, alarm) for name, done in sorted(repeats.claims.items()) for alarm in done.alarms]
    if found:
        yield from ("", "## Alarms", "")
    for name, alarm in found:
        what = ", with its fault planted" if alarm["faulty"] else ""
        yield f"- {name}, seed {alarm['seed']}{what}: {alarm['text'].strip().splitlines()[-1]}"


def _rest(still: list[str], repeats: Repeats) -> Iterator[str]:
    yield from ("", "## Checks that never ask for their seed", "", ", ".join(still) + ".")
    yield from ("", "Versions: " + ", ".join(f"{name} {version}" for name, version in repeats.versions.items()) + ".")
