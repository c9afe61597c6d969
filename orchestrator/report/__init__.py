"""The report of a sweep: one HTML page, made from the sweep's folder.

`contents` makes the text and tables of each section; `charts` draws; `page` renders both as HTML.
The same page is the offline file and, with `orchestrator.live`, the live page. Imports `analysis`, `folder` and what
lies below them; never `cluster` or `running`.
"""
