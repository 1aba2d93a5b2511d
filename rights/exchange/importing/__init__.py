"""Files into the catalogue: readers make rows, rows are checked, planned and written in parts.

`texts` and `columns` read CSV, `ern` DDEX messages, `documents` our JSON, `participation` lists
of ISRC and use. All of them yield `rows.Row`. `checking` looks at one row by itself, `planning`
compares it with what is known (`known`), `writing` enters a part in one transaction, and
`running` does so part by part for a job; `jobs` is what pages and commands call.
"""
