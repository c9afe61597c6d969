"""A sweep: its specification, its manifest, its provenance. Imports none of the other folders.

`specification` is the model. `fields` reads its words from flags, and makes it; `axes` reads the values of options;
`files` reads words from TOML or a `sweep.json`, and writes such a file.
"""
