"""Import files: readers make rows, rows are checked, planned and written in parts.

`texts` and `columns` read CSV, `ern` DDEX messages, `documents` our JSON, `participation` lists
of ISRC and use. All but the last yield `rows.Row`. `checking` checks one row by itself, `planning`
compares it with what is known (`known`), `writing` enters a part in one transaction, and
`running` does so part by part for a job; `jobs` is what pages and commands call.
"""
