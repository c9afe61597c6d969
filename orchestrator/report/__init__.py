"""One page that answers a reader's questions about a sweep: gathered from the folder, drawn, written as HTML.

`contents` decides what each section says; `charts` draws; `page` writes HTML, and asks both, and the sweep itself.
The same page is the offline file and, with `orchestrator.live`, the live page. Imports `analysis`, `folder` and what
lies below them; never `cluster` or `running`.
"""
