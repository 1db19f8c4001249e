"""The form of a row in the sink: its key as the text of ``_id``, and each value of a PostgreSQL type.

``keys`` spells keys, both those that a test names and those that a change event holds; ``values`` says whether what
the sink shows is the value that a test wrote; both rest on ``spelling`` and ``literals``. All code
that writes to a sink, waits for a document or names one uses it, so that a value has one spelling. docs/types.md is
the table.
"""
