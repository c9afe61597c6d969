"""The charts of a report: a module of `kinds` for each, which makes an Altair specification and a table of a sweep.

`catalogue` lists the charts of a sweep and finds one by its name; `drawing` makes SVG, PNG and PDF; `inlining` fits an
SVG into a page; `style` has colours and fonts; `configurations` and `labels` name what is drawn. Altair and vl-convert
are imported inside functions: only commands that draw need the extra `report`.
"""
