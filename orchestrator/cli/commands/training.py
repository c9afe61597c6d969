"""Commands that train jobs or follow them."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.commands.parameters import JOB, Broker, BrokerOrOwn, Json, Output, SweepName, Workers
from orchestrator.cli.words.options import DEFAULT_OUTPUT, GrowthOptions, SweepOptions


def sweep(
    context: typer.Context,
    spec: Annotated[
        str | None,
        typer.Option(
            help="A TOML file with the options above (orchestrator init writes one), or a sweep's sweep.json. "
            "Flags override it."
        ),
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Fix an option of any trainer; may be repeated."),
    ] = None,
    varied: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="NAME=VALUES", help="Vary an option of any trainer; may be repeated."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The sweep's name.  [default: sweep-DATE-TIME]")] = None,
    output: Annotated[
        str, typer.Option(help="The folder that holds the sweeps, one folder for each.")
    ] = DEFAULT_OUTPUT,
    broker: BrokerOrOwn = None,
    workers: Workers = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep called --name.")] = False,
    no_reuse: Annotated[
        bool, typer.Option("--no-reuse", help="Train every job, also those that another sweep has trained.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Write the sweep's report at the end, as orchestrator report does.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end, instead of tables.")] = False,
) -> int:
    """Train a network for every seed and combination of options, and show a leaderboard.

    Every training option can vary: repeat its flag, or separate values by commas. A range gives several values:
    log:0.001..0.3:7 gives 7 at equal ratios, linear:0..1:5 gives 5 at equal distances.

    Example: orchestrator sweep --seeds 0-4 --learning-rates 0.01,0.03 --epochs 10 --name night-run
    """
    from orchestrator.cli.sweep import run_sweep

    given = tuple(fixed or ()), tuple(varied or ())
    options = SweepOptions(spec, name, output, broker, workers, resume, not no_reuse, json, *given, report)
    return run_sweep(context.obj, options)


def extend(
    context: typer.Context,
    name: SweepName,
    varied: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="NAME=VALUES", help="Further values of an option of any trainer."),
    ] = None,
    broker: BrokerOrOwn = None,
    workers: Workers = None,
    output: Output = DEFAULT_OUTPUT,
    no_reuse: Annotated[
        bool, typer.Option("--no-reuse", help="Train every further job, from its first epoch.")
    ] = False,
    json: Json = False,
) -> int:
    """Add seeds, epochs, or values of an option that varies to a sweep, and train what is new.

    More epochs go on from the stored weights of the sweep's jobs, to the same bits as training them at once.

    If it is interrupted, repeat the command, or go on by: orchestrator sweep --resume --name NAME

    Example: orchestrator extend night-run --seeds 5-9
    """
    from orchestrator.cli.growing.rounds import run_extend

    options = GrowthOptions(name, output, broker, workers, not no_reuse, json)
    return run_extend(context.obj, tuple(varied or ()), options)


def confirm(
    name: SweepName,
    top: Annotated[
        str | None, typer.Option(help="Number of configurations, the leaderboard's first.  [default: 3]")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Number of fresh seeds, the next above the sweep's; or the seeds: 100-119.  [default: 20]"),
    ] = None,
    broker: BrokerOrOwn = None,
    workers: Workers = None,
    output: Output = DEFAULT_OUTPUT,
    no_reuse: Annotated[
        bool, typer.Option("--no-reuse", help="Train every job, also those that another sweep has trained.")
    ] = False,
    json: Json = False,
) -> int:
    """Train the leaders of a sweep under fresh seeds, and show by how much their choice flattered them.

    The best of many configurations owes a part of its mean to luck: under fresh seeds it shrinks.

    If it is interrupted, repeat the command: it goes on with the same configurations and seeds.

    Example: orchestrator confirm night-run --top 3 --seeds 20
    """
    from orchestrator.cli.growing.rounds import run_confirm

    return run_confirm(top, seeds, GrowthOptions(name, output, broker, workers, not no_reuse, json))


def decide(
    name: SweepName,
    within: Annotated[
        str,
        typer.Option(
            help="The tolerance, in the unit of the metric: 0.001 is 0.1 points of accuracy. A configuration is good "
            "enough if no other is better by more."
        ),
    ],
    budget: Annotated[str, typer.Option(help="The most jobs to add to the sweep, in all sessions of the race.")],
    broker: Annotated[
        str | None,
        typer.Option(help="A Redis server with workers.  [default: $CELERY_BROKER_URL, or an embedded cluster]"),
    ] = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes of the embedded cluster.  [default: one per core]")
    ] = None,
    output: Output = DEFAULT_OUTPUT,
    json: Json = False,
) -> int:
    """Train further seeds of a sweep's best configurations until it is known which one to use.

    The race looks at 5, 10, 20, 40, ... seeds. A configuration that another one beats leaves it, and gets no further
    seeds. The race ends when one is left, when no other can be better than the leader by more than --within, or when
    the next look takes more jobs than --budget has left. The best configuration leaves with a probability of at most
    5 % over the whole race. After a crash, the same command goes on, with the same decisions.

    Exit status: 0 if it is known which configuration to use, 1 if not, 2 for bad input, 3 if the cluster failed.

    Example: orchestrator decide night-run --within 0.001 --budget 200
    """
    from orchestrator.cli.growing.decide import Options, run_decide

    return run_decide(Options(name, within, budget, broker, workers, output, json))


def watch(name: SweepName, broker: Broker = None, output: Output = DEFAULT_OUTPUT, json: Json = False) -> int:
    """Follow a sweep on a cluster from any machine, and collect its results.

    Example: orchestrator watch night-run --broker redis://gpu-host:6379/0
    """
    from orchestrator.cli.watch import run_watch

    return run_watch(name, broker, output, as_json=json)


def cancel(name: SweepName, broker: Broker = None, output: Output = DEFAULT_OUTPUT, json: Json = False) -> int:
    """End a sweep's queued jobs at once, and its running jobs after their epoch.

    Jobs that another sweep on the cluster waits for go on. To train the cancelled jobs after all, resume the sweep:
    orchestrator sweep --resume --name NAME

    Example: orchestrator cancel night-run --broker redis://gpu-host:6379/0
    """
    from orchestrator.cli.watch import run_cancel

    return run_cancel(name, broker, output, as_json=json)


def verify(
    name: SweepName,
    words: Annotated[list[str] | None, typer.Argument(metavar="JOB", help=f"{JOB}  [default: every job]")] = None,
    jobs: Annotated[str | None, typer.Option(help="Number of jobs, chosen at random.  [default: 5]")] = None,
    every: Annotated[bool, typer.Option("--all", help="Verify every job that has a result.")] = False,
    seed: Annotated[
        str | None, typer.Option(help="Chooses the jobs: the same seed, the same jobs.  [default: random]")
    ] = None,
    broker: BrokerOrOwn = None,
    workers: Workers = None,
    output: Output = DEFAULT_OUTPUT,
    json: Json = False,
) -> int:
    """Train jobs of a sweep again, and compare weights and accuracies to the bit.

    Words choose among which jobs: orchestrator verify night-run learning_rate=0.01 --all

    The sweep's weights files are checked, too: a missing or damaged file counts as a difference.

    Exit status: 0 if everything is equal, 1 if anything differs.

    Example: orchestrator verify night-run --jobs 3
    """
    from orchestrator.cli.verify import Options, run_verify

    return run_verify(name, Options(words or [], jobs, every, seed, broker, workers, output, json))
