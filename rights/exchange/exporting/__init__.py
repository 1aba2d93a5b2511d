"""The catalogue as files: streamed a few hundred recordings at a time, in the formats that
rights/exchange/importing reads. Importing an export again changes nothing.
"""
