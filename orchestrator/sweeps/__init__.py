"""A sweep: its specification, its manifest, its provenance. Imports none of the other folders."""
