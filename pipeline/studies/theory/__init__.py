"""Compare runs with the predictions of theory.

Every run uses the compiled engine of `replay`, with rows and costs given in memory.
"""
