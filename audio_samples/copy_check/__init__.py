"""The copy check: does a generated clip repeat a stretch of the music behind it?

`audio.prints` makes a recording's print, `audio.index` gathers those of a frozen dataset,
`audio.matching` compares a clip with it. These three know no database rows; `dataset_index` and
`screenings` do (docs/screening.md).
"""
