"""The commands of `orchestrator` and their flags, as typer reads them; their values are still text.

Each command imports its module when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.words.options import DEFAULT_OUTPUT, DEFAULT_SPECIFICATION, GrowthOptions, SweepOptions

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The sweep's name.")]
_Output = Annotated[str, typer.Option(help="The folder that holds the sweeps, one folder for each.")]
_Broker = Annotated[
    str | None, typer.Option(help="The Redis server that the sweep runs on.  [default: $CELERY_BROKER_URL]")
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object at the end, instead of tables.")]
_JOB = (
    "NAME=VALUE, where NAME is seed or an option; a seed; SEED:LEARNING_RATE; or the first digits of a job's key. "
    "Several words must all fit."
)
_BrokerOrOwn = Annotated[
    str | None,
    typer.Option(help="A Redis server with workers.  [default: $CELERY_BROKER_URL, or an embedded cluster]"),
]
_Workers = Annotated[str | None, typer.Option(help="Processes of the embedded cluster.  [default: one per core]")]
_Sweep = Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep's folder, or its name in the folder runs.")]


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
    broker: _BrokerOrOwn = None,
    workers: _Workers = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep called --name.")] = False,
    no_reuse: Annotated[
        bool, typer.Option("--no-reuse", help="Train every job, also those that another sweep has trained.")
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
    options = SweepOptions(spec, name, output, broker, workers, resume, not no_reuse, json, *given)
    return run_sweep(context.obj, options)


def extend(
    context: typer.Context,
    name: _Name,
    varied: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="NAME=VALUES", help="Further values of an option of any trainer."),
    ] = None,
    broker: _BrokerOrOwn = None,
    workers: _Workers = None,
    output: _Output = DEFAULT_OUTPUT,
    no_reuse: Annotated[
        bool, typer.Option("--no-reuse", help="Train every further job, from its first epoch.")
    ] = False,
    json: _Json = False,
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
    name: _Name,
    top: Annotated[
        str | None, typer.Option(help="Number of configurations, the leaderboard's first.  [default: 3]")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Number of fresh seeds, the next above the sweep's; or the seeds: 100-119.  [default: 20]"),
    ] = None,
    broker: _BrokerOrOwn = None,
    workers: _Workers = None,
    output: _Output = DEFAULT_OUTPUT,
    no_reuse: Annotated[
        bool, typer.Option("--no-reuse", help="Train every job, also those that another sweep has trained.")
    ] = False,
    json: _Json = False,
) -> int:
    """Train the leaders of a sweep under fresh seeds, and show by how much their choice flattered them.

    The best of many configurations owes a part of its mean to luck: under fresh seeds it shrinks.

    If it is interrupted, repeat the command: it goes on with the same configurations and seeds.

    Example: orchestrator confirm night-run --top 3 --seeds 20
    """
    from orchestrator.cli.growing.rounds import run_confirm

    return run_confirm(top, seeds, GrowthOptions(name, output, broker, workers, not no_reuse, json))


def init(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write.")] = DEFAULT_SPECIFICATION,
    trainer: Annotated[
        str | None, typer.Option(help="Trainer, of those that are installed.  [default: network]")
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Fix an option of the trainer; may be repeated."),
    ] = None,
    json: _Json = False,
) -> int:
    """Write a specification file that lists every option of a sweep, with comments.

    The file means what orchestrator sweep with the same --trainer and --set means. An existing file is not overwritten.

    Example: orchestrator init sweep.toml --trainer sklearn --set estimator=SGDClassifier
    """
    from orchestrator.cli.sweep import run_init

    return run_init(file, trainer, fixed or (), as_json=json)


def trainers(
    broker: Annotated[
        str | None, typer.Option(help="Also ask the workers of this Redis server.  [default: $CELERY_BROKER_URL]")
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="List the options that go together with this one; may be repeated."
        ),
    ] = None,
    json: _Json = False,
) -> int:
    """List the trainers that are installed here and on the workers, with their options.

    Example: orchestrator trainers --set estimator=SGDClassifier
    """
    from orchestrator.cli.trainers import run_trainers

    return run_trainers(broker, fixed or (), as_json=json)


def watch(name: _Name, broker: _Broker = None, output: _Output = DEFAULT_OUTPUT, json: _Json = False) -> int:
    """Follow a sweep on a cluster from any machine, and collect its results.

    Example: orchestrator watch night-run --broker redis://gpu-host:6379/0
    """
    from orchestrator.cli.watch import run_watch

    return run_watch(name, broker, output, as_json=json)


def leaderboard(
    sweep_folder: _Sweep,
    metric: Annotated[
        str,
        typer.Option(
            help="Which number of a job counts: last (epoch), best (epoch), or mean-K, over the last K epochs."
        ),
    ] = "last",
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only configurations with this value of an option; may be repeated."),
    ] = None,
    by: Annotated[str, typer.Option(help="A row for each configuration, or for each job.")] = "configuration",
    sort: Annotated[
        str | None,
        typer.Option(help="Sort the rows by a column, such as mean, or by an option that varies.  [default: rank]"),
    ] = None,
    top: Annotated[str | None, typer.Option(help="Show only so many rows.  [default: all]")] = None,
    wide: Annotated[bool, typer.Option("--wide", help="Show all columns.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the verdict and the table as Markdown.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with the fields of leaderboard.json.")
    ] = False,
    output: _Output = DEFAULT_OUTPUT,
) -> int:
    """Say which configuration of a sweep to use, and show its leaderboard.

    Reads the sweep's folder, of a finished sweep or one that runs, and changes nothing. The verdict is about all
    configurations, or those that --where leaves; --sort and --top change only what is shown.

    Exit status: 0, or 1 if no configuration can be recommended, because no job has a result or all diverged.

    Example: orchestrator leaderboard night-run --where learning_rate=0.03 --wide
    """
    from orchestrator.cli.answers.leaderboard import Options, run_leaderboard

    options = Options(metric, where or (), by, sort, top, wide, csv, markdown, json, output)
    return run_leaderboard(sweep_folder, options)


def cancel(name: _Name, broker: _Broker = None, output: _Output = DEFAULT_OUTPUT, json: _Json = False) -> int:
    """End a sweep's queued jobs at once, and its running jobs after their epoch.

    Jobs that another sweep on the cluster waits for go on. To train the cancelled jobs after all, resume the sweep:
    orchestrator sweep --resume --name NAME

    Example: orchestrator cancel night-run --broker redis://gpu-host:6379/0
    """
    from orchestrator.cli.watch import run_cancel

    return run_cancel(name, broker, output, as_json=json)


def verify(
    name: _Name,
    words: Annotated[list[str] | None, typer.Argument(metavar="JOB", help=f"{_JOB}  [default: every job]")] = None,
    jobs: Annotated[str | None, typer.Option(help="Number of jobs, chosen at random.  [default: 5]")] = None,
    every: Annotated[bool, typer.Option("--all", help="Verify every job that has a result.")] = False,
    seed: Annotated[
        str | None, typer.Option(help="Chooses the jobs: the same seed, the same jobs.  [default: random]")
    ] = None,
    broker: _BrokerOrOwn = None,
    workers: _Workers = None,
    output: _Output = DEFAULT_OUTPUT,
    json: _Json = False,
) -> int:
    """Train jobs of a sweep again, and compare weights and accuracies to the bit.

    Words choose among which jobs: orchestrator verify night-run learning_rate=0.01 --all

    The sweep's weights files are checked, too: a missing or damaged file counts as a difference.

    Exit status: 0 if everything is equal, 1 if anything differs.

    Example: orchestrator verify night-run --jobs 3
    """
    from orchestrator.cli.verify import Options, run_verify

    return run_verify(name, Options(words or [], jobs, every, seed, broker, workers, output, json))


def decide(
    name: _Name,
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
    output: _Output = DEFAULT_OUTPUT,
    json: _Json = False,
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


def predict(
    sweep_folder: _Sweep,
    image: Annotated[
        str, typer.Option(help="A picture of one digit, 28x28 pixels or larger, dark on light or light on dark.")
    ],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="JOB", help=f"{_JOB}  [default: the leaderboard's best]")
    ] = None,
    job: Annotated[str | None, typer.Option(help="The same as JOB.")] = None,
    json: _Json = False,
) -> int:
    """Say which digit a picture shows.

    Example: orchestrator predict night-run seed=3 learning_rate=0.01 --image digit.png
    """
    from orchestrator.cli.answers.show import run_predict

    return run_predict(sweep_folder, image, words or [], job, as_json=json)


def compare(
    sweep_folder: _Sweep,
    others: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="B", help="Another sweep; or two configurations: learning_rate=0.01 learning_rate=0.03."
        ),
    ] = None,
    within: Annotated[
        str | None, typer.Option(help="How large a difference does not matter, such as 0.001 for 0.1 points.")
    ] = None,
    output: _Output = DEFAULT_OUTPUT,
    json: _Json = False,
) -> int:
    """Compare two configurations of one sweep, or the leaders of two sweeps.

    A configuration of several options is written in quotes: "learning_rate=0.01 epochs=5". After two sweeps, one
    configuration means that one of both, and two mean one of each.

    Exit status: 0 if the difference is decided, 1 if it is not.

    Example: orchestrator compare night-run learning_rate=0.01 learning_rate=0.03 --within 0.001
    """
    from orchestrator.cli.answers.compare import run_compare

    return run_compare(sweep_folder, others or [], within, output, as_json=json)


def read_test(
    sweep_folder: _Sweep,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="CONFIGURATION", help="NAME=VALUE, as in learning_rate=0.03.  [default: the leader]"),
    ] = None,
    output: _Output = DEFAULT_OUTPUT,
    json: _Json = False,
) -> int:
    """Evaluate the chosen configuration on the test split, once.

    The sweep began with --test-size, which held samples out of training and validation. The result is recorded in the
    sweep's folder. After that, the command shows the record, and refuses every other configuration.

    Example: orchestrator test night-run
    """
    from orchestrator.cli.answers.held_out import run_test

    return run_test(sweep_folder, words or [], output, as_json=json)


def show(
    sweep_folder: _Sweep,
    words: Annotated[list[str], typer.Argument(metavar="JOB", help=_JOB)],
    json: _Json = False,
) -> int:
    """Show what a job learned, and its mistakes on the validation set.

    Example: orchestrator show night-run seed=3 learning_rate=0.01
    """
    from orchestrator.cli.answers.show import run_show

    return run_show(sweep_folder, words, as_json=json)
