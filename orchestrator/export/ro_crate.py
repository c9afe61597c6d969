"""Writes a sweep as a Process Run Crate 0.6: one ZIP file with its folder, its claim, its report, and who made them."""

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from nn.files import open_regular
from orchestrator.analysis.statement import Claim
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import ClaimError
from orchestrator.export.jobs import OnProgress
from orchestrator.folder.zipped import MOST_BYTES
from orchestrator.report.contents import model
from orchestrator.report.page.render import render

_CRATE, _PROFILE = "https://w3id.org/ro/crate/1.1", "https://w3id.org/ro/wfrun/process/0.6"
#: The media types of the files, by how their names end.
_TYPES = {".json": "application/json", ".jsonl": "application/jsonl", ".html": "text/html"}


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> None:
    """Write the file. The same folder gives the same bytes: entries have no times.

    `orchestrator verify-claim claim.json --folder` takes it as it takes the folder.

    Raises:
        ClaimError: not all jobs have ended, none has a result, a file changed meanwhile, or `verify-claim` would
            refuse the crate for its size.
    """
    claim = Claim.of_finished(sweep)
    made = {"claim.json": claim.as_bytes(), "report.html": render(sweep, model.content(sweep, None)).encode()}
    files = claim.parts()["files"]
    size = sum((sweep.folder.path / name).stat().st_size for name in files)
    if size >= MOST_BYTES:
        raise ClaimError(f"The sweep {sweep.name} has {size} bytes; verify-claim reads less than {MOST_BYTES}")
    with ZipFile(paths[0], "x", ZIP_DEFLATED) as archive:
        described = {"ro-crate-metadata.json": json.dumps(_metadata(sweep, [*made, *files]), indent=2).encode()}
        for name, content in (described | made).items():
            _put(archive, name, io.BytesIO(content))
        for name, sha256 in files.items():
            with open_regular(sweep.folder.path / name, MOST_BYTES, sweep.folder.real) as file:
                if _put(archive, name, file) != sha256:
                    raise ClaimError(f"{sweep.folder.path / name} has changed meanwhile: export the sweep again")
    on_progress(len(sweep.ended), len(sweep.ended))


def _put(archive: ZipFile, name: str, content: BinaryIO) -> str:
    """Add a file to a ZIP file, whose bytes depend on nothing else, and return the file's SHA-256."""
    # It has the earliest time that the format knows.
    entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    # Others may read it.
    entry.external_attr, entry.compress_type = 0o644 << 16, archive.compression
    found = hashlib.sha256()
    with archive.open(entry, "w") as packed:
        while piece := content.read(2**20):
            found.update(piece)
            packed.write(piece)
    return found.hexdigest()


def _metadata(sweep: Sweep, names: Sequence[str]) -> dict[str, Any]:
    """Return the description of the crate: the sweep is an action of Seedsweep, whose results are the files."""
    begun, verdict = sweep.manifest.provenance, sweep.leaderboard.verdict.sentence
    files = [{"@id": name} for name in names]
    version = begun.packages.get("seedsweep")
    software = f"pkg:pypi/seedsweep@{quote(str(version), safe='')}"
    data = f"urn:sha256:{sweep.manifest.dataset}"
    graph = [
        _entity("ro-crate-metadata.json", "CreativeWork", conformsTo={"@id": _CRATE}, about={"@id": "./"}),
        _entity(
            "./",
            "Dataset",
            name=f"The sweep {sweep.name}",
            description=verdict,
            datePublished=begun.created,
            license="The crate states no licence: ask its authors before you reuse it.",
            conformsTo={"@id": _PROFILE},
            hasPart=files,
            mentions={"@id": "#sweep"},
        ),
        _entity(_PROFILE, "CreativeWork", name="Process Run Crate", version="0.6"),
        _entity(
            "#sweep",
            "CreateAction",
            name=f"Train {len(sweep.jobs)} jobs",
            description=verdict,
            startTime=begun.created,
            instrument={"@id": software},
            object={"@id": data},
            result=files,
        ),
        _entity(software, "SoftwareApplication", name="Seedsweep", softwareVersion=version),
        _entity(data, "CreativeWork", name="The data set", description="Named by its SHA-256"),
    ]
    for name in names:
        media = _TYPES.get(Path(name).suffix, "application/octet-stream")
        graph.append(_entity(name, "File", name=name, encodingFormat=media))
    return {"@context": [f"{_CRATE}/context", "https://w3id.org/ro/terms/workflow-run/context"], "@graph": graph}


def _entity(identifier: str, kind: str, **about: Any) -> dict[str, Any]:
    return {"@id": identifier, "@type": kind, **about}
