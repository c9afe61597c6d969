"""Write the schemas in docs/reference/schemas, for programs that read `results.jsonl` and claims, from the code.

python docs/make_schema.py
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from orchestrator.analysis.statement import Claim
from orchestrator.folder.rows import AttemptRecord, Row
from worker.job import Mismatch
from worker.trainers import registry
from worker.trainers.registry import DEFAULT

FOLDER = Path(__file__).parent / "reference" / "schemas"
#: Raised when rows of the version before no longer match the schema, or a field changes its meaning.
VERSION = 2
#: Fields with a default that every row has nevertheless.
_ALWAYS = ("reused_from",)


def row_schema() -> dict[str, Any]:
    """Return the schema of a line of `results.jsonl` as this version writes it, in JSON Schema's version 2020-12.

    What it cannot say: each list of a result has a value for each epoch.
    """
    schema = Row.model_json_schema()
    del schema["$defs"]
    definitions = {model.__name__: _written(model) for model in (AttemptRecord, Mismatch)}
    definitions["NetworkOptions"] = _options(registry.trainer(DEFAULT).Options)
    properties = {name: _plain(each) for name, each in schema["properties"].items()}
    properties["options"] = {"description": properties["options"]["description"], "type": "object"}
    properties["others"]["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:seedsweep:results-row:{VERSION}",
        "title": f"A row of results.jsonl, version {VERSION}",
        "description": "The end of a job of a sweep.",
        "type": "object",
        "properties": properties,
        "required": [*schema["required"], *_ALWAYS],
        "additionalProperties": False,
        "allOf": _conditions(),
        "$defs": definitions,
    }


def claim_schema() -> dict[str, Any]:
    """Return the schema of a claim as this version writes it. Its type is its version."""
    schema = Claim.model_json_schema(by_alias=True, mode="serialization")
    kind = schema["properties"]["predicateType"]["const"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": kind, **_plain(schema)}


#: The files, by what makes them.
FILES = {"results-row.schema.json": row_schema, "claim.schema.json": claim_schema}


def _conditions() -> list[dict[str, Any]]:
    """Return what holds for some rows."""
    accepted = {"properties": {"status": {"enum": ["succeeded", "diverged"]}}}
    none: dict[str, Any] = {"maxItems": 0}
    with_result = {
        "validation_score": {"minItems": 1},
        "epoch_seconds": {"minItems": 1},
        "weights_sha256": {"type": "string"},
        "worker": {"type": "string"},
    }
    without_result = {
        "validation_score": none,
        "others": False,
        "epoch_seconds": none,
        "weights_sha256": {"type": "null"},
        "worker": {"type": "null"},
        "error": {"type": "string"},
        "correct": False,
    }
    reused = {"properties": {"reused_from": {"type": "string"}}}
    network = {"properties": {"trainer": {"const": DEFAULT}}}
    return [
        {"if": accepted, "then": {"properties": with_result}, "else": {"properties": without_result}},
        {"if": reused, "then": {"properties": {"history": False}}},
        {"if": network, "then": {"properties": {"options": {"$ref": "#/$defs/NetworkOptions"}}}},
    ]


def _options(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a trainer's options: a row from before an option existed lacks it, and means its default."""
    schema, whole = _written(model), model.model_json_schema()
    defaults = {name: each["default"] for name, each in whole["properties"].items() if "default" in each}
    for name, default in defaults.items():
        schema["properties"][name]["default"] = default
    return schema | {"required": [name for name in schema["required"] if name not in defaults]}


def _written(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a model of which rows have every field."""
    schema: dict[str, Any] = _plain(model.model_json_schema())
    summary = schema["description"].partition("\n\n")[0]
    return schema | {"description": summary, "required": list(schema["properties"]), "additionalProperties": False}


def _plain(schema: Any) -> Any:
    """Return a schema without titles and defaults: a name repeated, and a value that a row never leaves out."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "properties" in schema:
        inner = {name: _plain(each) for name, each in schema["properties"].items()}
        rest = {name: _plain(each) for name, each in schema.items() if name not in ("properties", "title")}
        return rest | {"properties": inner}
    return {name: _plain(each) for name, each in schema.items() if name not in ("title", "default")}


def main() -> None:
    """Write the schemas."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in FILES.items():
        (FOLDER / name).write_text(json.dumps(make(), indent=2) + "\n")


if __name__ == "__main__":
    main()
