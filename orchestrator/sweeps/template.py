"""A specification file with every word, its description, default and allowed values as comments."""

from __future__ import annotations

import json
import textwrap

from nn.options.describe import allowed, option, written
from orchestrator.sweeps.axes import EXAMPLES
from orchestrator.sweeps.fields import Vocabulary, vocabulary
from orchestrator.sweeps.samplers import Sampling
from orchestrator.sweeps.specification import SweepSpecification

_WIDTH = 100


def template(file: str, made: SweepSpecification) -> str:
    """Return the text of a file with a sweep's specification.

    Args:
        file: The file's name, for the command in its first lines.
        made: The specification.
    """
    known = vocabulary(made.trainer, made.options)
    own = [word for word, entry in known.words.items() if entry.option is None and entry.help]
    varied = [word for word, entry in known.words.items() if entry.option in made.grid]
    fixed = [word for word in known.words if known.words[word].option and word not in varied]
    head = _comment(
        f"The specification of a sweep: orchestrator sweep --spec {file}",
        "Every combination of the values under [grid] is trained under every seed. Flags override this file.",
    )
    grid = _comment(
        f"What varies: a list of values, or a range of numbers as text, such as {EXAMPLES}. A line of [options] may "
        "be moved here, and the other way round."
    )
    sections = [
        head,
        *(_entry(known, made, word) for word in own),
        f"{grid}\n[grid]",
        *(_entry(known, made, word) for word in varied),
        f"{_comment('What is fixed: one value each.')}\n[options]",
        *(_entry(known, made, word) for word in fixed),
    ]
    return "\n\n".join(sections) + "\n"


def _comment(*sentences: str) -> str:
    lines = (line for sentence in sentences for line in textwrap.wrap(sentence, _WIDTH, break_on_hyphens=False))
    return "\n".join(f"# {line}" for line in lines)


def _entry(known: Vocabulary, made: SweepSpecification, word: str) -> str:
    """Return a word's lines: its help, what is allowed, its default, and its value."""
    entry, value = known.words[word], known.value_of(made, word)
    help_text = entry.help.replace("  [default", " [default")
    if value is None:
        # A line that is valid once it is uncommented.
        example = json.dumps((Sampling.model_fields[word].examples or [""])[0])
        sentences = [help_text] if entry.allowed in help_text else [help_text, f"Allowed: {entry.allowed}."]
        return f"{_comment(*sentences)}\n# {word} = {example}"
    if entry.option is None:
        return f"{_comment(help_text)}\n{word} = {json.dumps(known.written(word, value))}"
    info = made.model.model_fields[entry.option]
    varies = entry.option in made.grid
    facts = [f"Allowed: {allowed(info, several=varies)}."]
    if defaults := option(info).values:
        facts.append(f"Default: {','.join(map(written, defaults))}.")
    elif not info.is_required():
        facts.append(f"Default: {written(info.default)}.")
    # TOML has no null.
    texts = ["none" if each is None else each for each in value]
    values = json.dumps(texts if varies else texts[0])
    return f"{_comment(info.description or word, ' '.join(facts))}\n{word} = {values}"
