"""Public pages of models: requested by a project's owner, approved by a rights admin.

pages.py has the verbs, withdrawals.py says whether the model's permissions still stand,
training_credits.py whom it learned from, summary.py is the training-content summary.
"""
