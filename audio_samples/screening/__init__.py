"""The copy check: does a generated clip repeat a stretch of the music behind it?

`prints` makes a recording's print, `index` gathers those of a frozen dataset, `judging` holds a
clip against it. These three know no rows; `gathering` and `screenings` do (docs/screening.md).
"""
