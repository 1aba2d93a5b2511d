"""What did a run show beside its numbers: pictures, histograms, tables, figures, texts?"""
