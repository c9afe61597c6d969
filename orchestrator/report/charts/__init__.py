"""The charts of a report: each module makes one kind from a snapshot, as an Altair specification with its data.

Altair and vl-convert are imported inside functions: only commands that draw need the extra `report`.
"""
