"""The subject's report as people read it: words in two languages, one page, as text or as HTML."""
