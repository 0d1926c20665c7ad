"""Table 4 of Zou et al. (2023): test errors with ERM, Mixup and MixupE on the tables that ship with scikit-learn."""

from __future__ import annotations

from figures import table
from figures.definition import Figure, Numbers, Settings
from figures.image_runs import scaled_epochs
from figures.relations import Relation
from msda_theory._progress import track
from verify.mixupe_training import METHODS
from verify.printed_tables import printed_table
from verify.tabular_training import ALPHAS, EPOCHS, ETAS, TABLES, Scores, best, best_of_each, grid, train

STATEMENT = "MixupE has less error than Mixup and than ERM on several of the sets (sec. 3.2)."


def compute(settings: Settings) -> Numbers:
    """For every table and method the errors of the alpha and eta that are best on the validation part."""
    seeds = settings.each_seed
    cells = grid(ALPHAS[: settings.records], ETAS[: settings.records])
    epochs = scaled_epochs(EPOCHS, settings)
    chosen = {
        name: best_of_each(train(name, cells, seeds, epochs=epochs), best) for name in track(list(TABLES), "tables")
    }
    return table.table_numbers(
        printed_table("mixupe2023", "table4"),
        {name: {m: [100 * e for e in s.test_error] for m, s in each.items()} for name, each in chosen.items()},
        seeds=seeds,
        statement=STATEMENT,
        relations=[Relation(method, "MixupE", name) for name in TABLES for method in METHODS[:2]],
        conditions=f"{epochs} epochs; chosen by validation error: {_choices(chosen)}",
        unit="test error, %",
    )


def _choices(chosen: dict[str, dict[str, Scores]]) -> str:
    return "; ".join(
        f"{name} Mixup α = {each['Mixup'].cell.alpha:g}, MixupE α = {each['MixupE'].cell.alpha:g}, "
        f"η = {each['MixupE'].cell.eta:g}"
        for name, each in chosen.items()
    )


FIGURE = Figure(
    id="mixupe2023-table4",
    title="Test error with ERM, Mixup and MixupE: tables",
    source="Zou et al. (2023), Table 4",
    compute=compute,
    draw=table.draw,
    markdown=table.markdown,
    needs="the tables that ship with scikit-learn",
    seconds=90,
)
