"""The charts of a report: each module of `kinds` makes an Altair specification and a table for one kind of chart.

`catalogue` lists the charts of a sweep and finds one by its name; `drawing` makes SVG, PNG and PDF; `style` has colours
and fonts; `configurations` and `labels` name what is drawn. Altair and vl-convert are imported inside functions: only
commands that draw need the extra `report`.
"""
