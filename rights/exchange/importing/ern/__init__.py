"""DDEX messages: sound recordings, who made them, and the releases they are on.

`messages` reads a file twice: `xml` hands it over in pieces and refuses what is no message, `index`
notes the parties, works and releases, and `recordings` makes a row of each recording. `names`
chooses among titles and names in several scripts, `files` reads which file is to come, and
`vocabulary` has what we share with the export.
"""

from rights.exchange.importing.ern.messages import ErnReader

__all__ = ["ErnReader"]
