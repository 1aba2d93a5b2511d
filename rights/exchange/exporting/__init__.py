"""The catalogue as files: streamed a few hundred recordings at a time, in the words that
rights/importing reads. What was exported and is imported again changes nothing.
"""
