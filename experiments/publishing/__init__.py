"""Public pages of models: asked for by a project's owner, approved by a rights admin.

pages.py has the verbs, use_status.py says whether the model still rests on permissions,
training_credits.py whom it learned from, summary.py the training-content summary.
"""
