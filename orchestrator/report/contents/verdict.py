"""The verdict: which configuration to use, how sure that is, what to expect of it, what would decide; and the table."""

from orchestrator.analysis.leaderboard.board import Leaderboard, Standing
from orchestrator.analysis.leaderboard.judgement import SETTLES, at_most, in_full
from orchestrator.analysis.leaderboard.table import for_report
from orchestrator.analysis.statistics.boundaries import FIRST_LOOK
from orchestrator.analysis.sweep import Sweep
from orchestrator.report.contents.parts import MOST_ROWS, DataTable, Fact
from orchestrator.report.contents.reproduce import shell
from orchestrator.text import counted, listed


def state(sweep: Sweep) -> str:
    """Return `so-far`, `decided`, `undecided`, or `nothing` if no configuration can be recommended."""
    verdict = sweep.leaderboard.verdict
    if sweep.running:
        return "so-far"
    if verdict.leader is None:
        return "nothing"
    return "decided" if verdict.decided else "undecided"


def table(sweep: Sweep) -> tuple[DataTable, tuple[str, ...], list[Fact]]:
    """Return a row for each configuration, notes on the numbers, and what each column means, without the options.

    It has no columns for trouble that did not occur.
    """
    told, meanings = for_report(sweep.leaderboard, sweep.leaderboard.standings[:MOST_ROWS])
    facts = [Fact(*each) for each in meanings.items()]
    return DataTable("Configurations by rank", told.headings, told.rows), told.notes, facts


def facts(sweep: Sweep) -> list[Fact]:
    """Return what the verdict rests on."""
    board = sweep.leaderboard
    leader = [] if board.verdict.leader is None else _of_leader(sweep, board.standings[0])
    return [*leader, Fact("What went wrong", _trouble(sweep))]


def _of_leader(sweep: Sweep, leader: Standing) -> list[Fact]:
    board = sweep.leaderboard
    facts = [Fact("The leader", f"{board.name(leader.options)}: {_mean(board, leader)}"), *_regret(board)]
    if leader.p_best is not None:
        chance = leader.p_best
        text = "more than 99 %" if chance > 0.99 else "less than 1 %" if chance < 0.01 else f"{100 * chance:.0f} %"
        text += "" if leader.n >= 10 else ", roughly: it has fewer than 10 seeds"
        facts.append(Fact("Probability that it is the best", text))
    if leader.honest_mean is not None:
        metric, honest, mean = board.names.metric, leader.honest_mean, leader.mean or 0.0
        text = f"{metric.shown(honest)} of a further seed (honest mean)"
        chosen = sum(each.scored.is_candidate for each in board.standings) > 1
        if chosen and metric.shown(honest) != metric.shown(mean) and (mean > honest) == metric.higher_is_better:
            text += "; its own mean is flattered, because it was chosen for it"
        facts.append(Fact("What to expect of it", text))
    if len(board.verdict.contenders) > 1 and not board.verdict.decided:
        facts.append(_what_decides(sweep))
    return facts


def _mean(board: Leaderboard, leader: Standing) -> str:
    metric = board.names.metric
    over = f"a mean of {metric.shown(leader.mean or 0.0)} over {counted(leader.n, 'seed')}"
    if leader.low is None or leader.high is None:
        return over
    low, high = metric.number(leader.low), metric.shown(leader.high)
    return f"{over}; over all seeds, the mean is between {low} and {high} (95 % interval)"


def _regret(board: Leaderboard) -> list[Fact]:
    verdict, looks = board.verdict, "" if board.verdict.method == "t" else ", however often one looks"
    candidates = sum(each.scored.is_candidate for each in board.standings)
    of = f" of {candidates} with a result" if any(not each.n + each.diverged for each in board.standings) else ""
    sure = f"{of}, with a probability of at least {100 * verdict.level:.0f} %{looks}"
    if verdict.regret:
        most = at_most(board.names.metric, verdict.regret, verdict.within)
        return [Fact("Regret", f"At most {most} worse than the best{sure}")]
    is_best = verdict.regret is not None and len(verdict.contenders) == 1
    return [Fact("Regret", f"None: it is the best{sure}")] if is_best else []


def _what_decides(sweep: Sweep) -> Fact:
    board, term = sweep.leaderboard, "What would decide"
    advice = board.verdict.advice
    if advice is None:
        few = min(each.n for each in board.standings if each.contender) < FIRST_LOOK
        return Fact(term, f"{FIRST_LOOK} seeds of each configuration are a start" if few else "More seeds")
    race = f"A race to a regret of {in_full(board.names.metric, advice.within)}"
    text = f"{race} takes about {counted(advice.jobs, 'job')} if the differences are what they seem"
    text += f"; {advice.budget:,} suffice with a probability of at least {100 * SETTLES:.0f} %"
    return Fact(term, text, shell(*sweep.advised))


def _trouble(sweep: Sweep) -> str:
    accounting = sweep.accounting
    counts = {
        "failed": accounting.failed,
        "cancelled": accounting.cancelled,
        "diverged": accounting.diverged,
        "ended with other weights in two executions": accounting.mismatches,
    }
    found = [f"{count:,} {word}" for word, count in counts.items() if count]
    repeated = sum(accounting.repeated.values())
    tries = f"; {counted(repeated, 'attempt')} had to be repeated" if repeated else ""
    if found:
        jobs = counted(accounting.jobs, "job")
        return f"Of {jobs}, {listed(found, 'and')}{tries}; the accounting has each with its reason"
    so_far = "" if sweep.finished else " so far"
    return f"No job failed, diverged or was cancelled{so_far}{tries}"
