"""Objections to samples and who reviews them: flags of rightsholders, audio for reviewers."""
